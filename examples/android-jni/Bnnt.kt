package org.bnnt

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A binary network, loaded. One session serves one thread at a time. */
class Bnnt(bytes: ByteArray) {
    private val model = direct(bytes.size).put(bytes)
    private val memory: ByteBuffer?
    private val session: Long

    val height: Int
    val width: Int
    val channels: Int
    val outputs: Int

    init {
        val needed = longArrayOf(0)
        var room: ByteBuffer? = null
        var opened = open(model, room, needed)
        while (opened == 0L) { // at most twice
            room = direct(Math.toIntExact(needed[0]))
            opened = open(model, room, needed)
        }
        memory = room
        session = opened
        val sizes = IntArray(4)
        describe(session, sizes)
        height = sizes[0]
        width = sizes[1]
        channels = sizes[2]
        outputs = sizes[3]
    }

    /** The logits of one image: [pixels] has height x width x channels bytes, as a camera gives them. */
    fun run(pixels: ByteArray): FloatArray {
        require(pixels.size == height * width * channels) { "the model takes ${height}x${width}x$channels bytes" }
        val logits = direct(4 * outputs)
        run(session, direct(pixels.size).put(pixels), 1, logits)
        return FloatArray(outputs) { logits.getFloat(4 * it) }
    }

    private companion object {
        init {
            System.loadLibrary("bnnt")
            System.loadLibrary("bnnt_jni")
        }

        fun direct(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

        @JvmStatic external fun open(model: ByteBuffer, memory: ByteBuffer?, needed: LongArray): Long

        @JvmStatic external fun describe(session: Long, sizes: IntArray)

        @JvmStatic external fun run(session: Long, pixels: ByteBuffer, count: Int, logits: ByteBuffer)
    }
}
