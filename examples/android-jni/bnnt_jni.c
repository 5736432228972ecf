/* The engine for Kotlin and Java: see Bnnt.kt.
 *
 * All memory is the caller's, in direct buffers, so that this library calls nothing but libbnnt and the JVM. */
#include <jni.h>

#include "bnnt.h"

/* Java: throw new IllegalArgumentException(text), which takes effect when the native method returns. */
static void throw(JNIEnv *env, const char *text) {
  const jclass kind = (*env)->FindClass(env, "java/lang/IllegalArgumentException");
  if (kind != NULL)
    (*env)->ThrowNew(env, kind, text);
}

/* Bytes that a session of `model` needs at least; ask again with as much memory until open succeeds. */
JNIEXPORT jlong JNICALL Java_org_bnnt_Bnnt_open(JNIEnv *env, jclass type, jobject model, jobject memory,
                                                jlongArray needed) {
  (void)type;
  const void *file = (*env)->GetDirectBufferAddress(env, model);
  void *room = memory == NULL ? NULL : (*env)->GetDirectBufferAddress(env, memory);
  const jlong file_bytes = (*env)->GetDirectBufferCapacity(env, model);
  const jlong room_bytes = memory == NULL ? 0 : (*env)->GetDirectBufferCapacity(env, memory);
  if (file == NULL || file_bytes < 0 || (memory != NULL && room == NULL)) {
    throw(env, "model and memory must be direct buffers");
    return 0;
  }
  bnnt_session *session = NULL;
  bnnt_error error;
  size_t wanted = 0;
  const bnnt_status status =
      bnnt_open(file, (size_t)file_bytes, NULL, room, (size_t)room_bytes, &session, &wanted, &error);
  const jlong answer = (jlong)wanted;
  if (status == BNNT_MEMORY)
    (*env)->SetLongArrayRegion(env, needed, 0, 1, &answer);
  else if (status != BNNT_OK)
    throw(env, error.text);
  return (jlong)(intptr_t)session;
}

/* height, width, channels and the number of outputs. */
JNIEXPORT void JNICALL Java_org_bnnt_Bnnt_describe(JNIEnv *env, jclass type, jlong session, jintArray sizes) {
  (void)type;
  bnnt_info info;
  bnnt_describe((const bnnt_session *)(intptr_t)session, &info);
  const jint found[] = {info.height, info.width, info.channels, (jint)info.outputs};
  (*env)->SetIntArrayRegion(env, sizes, 0, 4, found);
}

JNIEXPORT void JNICALL Java_org_bnnt_Bnnt_run(JNIEnv *env, jclass type, jlong session, jobject pixels, jint count,
                                              jobject logits) {
  (void)type;
  bnnt_session *opened = (bnnt_session *)(intptr_t)session;
  bnnt_info info;
  bnnt_describe(opened, &info);
  const uint8_t *images = (*env)->GetDirectBufferAddress(env, pixels);
  float *answers = (*env)->GetDirectBufferAddress(env, logits);
  const jlong image_bytes = (jlong)info.height * info.width * info.channels;
  const jlong answer_bytes = (jlong)info.outputs * (jlong)sizeof *answers;
  if (count < 0 || images == NULL || answers == NULL ||
      (*env)->GetDirectBufferCapacity(env, pixels) < count * image_bytes ||
      (*env)->GetDirectBufferCapacity(env, logits) < count * answer_bytes) {
    throw(env, "pixels and logits must be direct buffers with room for all images");
    return;
  }
  if (bnnt_run(opened, images, (size_t)count, answers, NULL) != BNNT_OK)
    throw(env, "the engine refused to run");
}
