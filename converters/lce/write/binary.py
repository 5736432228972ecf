"""Binary layers as the operators of Larq Compute Engine."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
    BinaryConv2d,
    BinaryDense,
    Kind,
    MaxPool,
    Threshold,
    Value,
    negated,
    repacked,
    tap_sums,
)
from bnn_toolchain.converters.graph.real_ops import border
from bnn_toolchain.converters.lce.format.geometry import SAME, VALID, padding_of
from bnn_toolchain.converters.lce.format.limits import folds, limits, offsets
from bnn_toolchain.converters.lce.write.emitter import WORD, Emitter, windows, words
from bnn_toolchain.errors import Unsupported

LOWEST = np.finfo(np.float32).min


def thresholded(
    file: Emitter, name: str, at: int, x: Value, conv: BinaryConv2d, pool: MaxPool | None, threshold: Threshold
) -> int:
    """A binary layer whose output is bits again."""
    if x.kind is Kind.BITS and (conv.pad_value == 1 or not any(conv.pads)):
        return bits_conv(file, name, at, x, conv, pool, threshold)
    acc = infer(f"{name}/acc", conv, (x,))
    fold = (pool is None or not threshold.flip.any()) and folds(threshold, acc.bound)
    sign = np.where(threshold.flip & fold, np.float32(-1), np.float32(1))
    offset = offsets(threshold) if fold else np.zeros_like(sign)
    if x.kind is Kind.BITS:
        at = float_bits_conv(file, name, acc.name, at, x, conv, sign, offset)
    else:
        weight = negated(conv.weight, conv.in_channels, sign < 0)
        file.note_negated(name, sign < 0)
        at = unpacked_conv(file, name, acc.name, at, x, conv, weight, offset if fold else None)
    if pool:
        at = max_pool(file, name, f"{name}/pool", at, acc, pool)
        acc = infer(f"{name}/pool", pool, (acc,))
    if fold:
        return file.bits("LceQuantize", (at,), name, acc)
    return compare(file, name, at, acc, threshold)


def bits_conv(
    file: Emitter, name: str, at: int, x: Value, conv: BinaryConv2d, pool: MaxPool | None, threshold: Threshold
) -> int:
    """Bits to bits: one LceBconv2d; before pooling a flip must wait, else it becomes negated weights."""
    taps = prod(conv.weight.shape[1:3]) * conv.in_channels
    acc = infer(name, conv, (x,))
    if pool is None:
        negative = threshold.flip & (threshold.tau != ALWAYS)
        weight = negated(conv.weight, conv.in_channels, negative)
        file.note_negated(name, negative)
        limit, _ = limits(threshold, taps)
        return bconv(file, name, name, at, x, conv, weight, acc, limit=limit)
    limit, _ = limits(Threshold(threshold.tau, np.zeros_like(threshold.flip)), taps)
    at = bconv(file, name, f"{name}/bits", at, x, conv, conv.weight, acc, limit=limit)
    value = infer(name, pool, (Value(name, Kind.BITS, acc.shape),))
    if not threshold.flip.any():
        return max_pool(file, name, name, at, Value(name, Kind.BITS, acc.shape), pool)
    at = max_pool(file, name, f"{name}/pool", at, Value(name, Kind.BITS, acc.shape), pool)
    mask = file.constant(f"{name}/flip", words(np.packbits(threshold.flip, bitorder="little")))
    count = int(threshold.flip.sum())
    file.note(name, f"{count} channels with a negative scale are inverted after pooling (BITWISE_XOR)")
    return file.bits("BITWISE_XOR", (at, mask), name, value)


def float_bits_conv(
    file: Emitter,
    name: str,
    result: str,
    at: int,
    x: Value,
    conv: BinaryConv2d,
    sign: NDArray[np.float32],
    offset: NDArray[np.float32],
) -> int:
    """Bits to sign * accumulator + offset, an exact float; zero padding is LCE's own where that is right."""
    acc = infer(result, conv, (x,))
    kernel = (conv.weight.shape[1], conv.weight.shape[2])
    if conv.pad_value == 1 or not any(conv.pads):
        return bconv(file, name, result, at, x, conv, conv.weight, acc, sign=sign, offset=offset)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, conv.dilations, strict=True)]
    fits = all(span <= side for span, side in zip(spans, x.shape[1:], strict=True))
    same = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations) == SAME
    if same and fits and conv.group == 1 and conv.in_channels % 2 == 0:
        return bconv(file, name, result, at, x, conv, conv.weight, acc, sign=sign, offset=offset, zero=True)
    file.borders += 4 * prod(acc.shape)
    if file.borders > file.most_borders:
        raise Unsupported(
            f"{name}: zero padding would take constants of {file.borders} bytes, more than {file.most_borders}: "
            "pad with 1"
        )
    change = border(tap_sums(conv), (x.shape[1], x.shape[2]), conv.strides, conv.dilations, conv.pads) * sign
    file.note(
        name,
        f"zero padding becomes padding with +1 and a constant of {change.nbytes} bytes that corrects the border",
    )
    padded = bconv(file, name, f"{name}/padded", at, x, conv, conv.weight, acc, sign=sign, offset=offset)
    constant = file.constant(f"{name}/border", change + np.float32(0))
    return file.real("ADD", (padded, constant), result, acc)


def bconv(
    file: Emitter,
    name: str,
    result: str,
    at: int,
    x: Value,
    conv: BinaryConv2d,
    weight: NDArray[np.uint8],
    acc: Value,
    *,
    limit: NDArray[np.int32] | None = None,
    sign: NDArray[np.float32] | None = None,
    offset: NDArray[np.float32] | None = None,
    zero: bool = False,
) -> int:
    """One LceBconv2d: bits where it has ``limit``, else sign * accumulator + offset."""
    if conv.group > 1 and conv.in_channels % WORD:
        raise Unsupported(
            f"{name}: a binary convolution of {conv.group} groups with {conv.in_channels} input channels each: "
            f"LCE takes multiples of {WORD}; use such widths, or group=1"
        )
    kernel = (weight.shape[1], weight.shape[2])
    padding = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations)
    if padding is None:
        file.note(name, f"its padding {conv.pads} is an operator of its own (PAD)")
        at, padding = file.pad(name, at, x, conv.pads, None), VALID
    inputs = [at, file.constant(f"{name}/weight", words(weight))]
    for key, array in (("multiplier", sign), ("bias", offset), ("limit", limit)):
        inputs.append(-1 if array is None else file.constant(f"{name}/{key}", array))
    options = {
        "channels_in": conv.in_channels * conv.group,
        "dilation_height_factor": conv.dilations[0],
        "dilation_width_factor": conv.dilations[1],
        "fused_activation_function": 0,
        "pad_values": int(padding == SAME and not zero),
        "padding": padding,
        "stride_height": conv.strides[0],
        "stride_width": conv.strides[1],
    }
    if limit is None:
        return file.real("LceBconv2d", tuple(inputs), result, acc, **options)
    return file.bits("LceBconv2d", tuple(inputs), result, acc, **options)


def unpacked_conv(
    file: Emitter,
    name: str,
    result: str,
    at: int,
    x: Value,
    conv: BinaryConv2d,
    weight: NDArray[np.uint8],
    offset: NDArray[np.float32] | None,
) -> int:
    """Integers or reals with binary weights: packed in the file, unpacked in each run, a float convolution."""
    acc = infer(result, conv, (x,))
    kernel = (weight.shape[1], weight.shape[2])
    shape = (len(weight), *kernel, conv.in_channels)
    flat = (len(weight), prod(shape[1:]))
    packed = file.constant(f"{name}/weight", words(repacked(weight, conv.in_channels, flat)))
    signs = file.emit("LceDequantize", (packed,), f"{name}/signs", "FLOAT32", flat)
    to = file.constant(f"{name}/shape", np.array(shape, np.int32))
    inputs = [at, file.emit("RESHAPE", (signs, to), f"{name}/filter", "FLOAT32", shape)]
    padding = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations)
    if padding is None or (padding == SAME and conv.pad_value):
        inputs[0] = file.pad(name, at, x, conv.pads, np.array([conv.pad_value], np.float32))
        padding = VALID
    inputs.append(file.bias(name, offset, len(weight)))
    file.note(name, "it reads integers or reals: its weights are unpacked in each run, for a float convolution")
    return file.real("CONV_2D", tuple(inputs), result, acc, padding=padding, **windows(conv))


def compare(file: Emitter, name: str, at: int, value: Value, threshold: Threshold) -> int:
    """Accumulators to bits."""
    if threshold.flip.any():
        sign = np.where(threshold.flip, np.float32(-1), np.float32(1))
        at = file.per_channel("MUL", at, f"{name}/sign", sign, f"{name}/signed", value)
    at = file.per_channel("ADD", at, f"{name}/offset", offsets(threshold), f"{name}/shifted", value)
    return file.bits("LceQuantize", (at,), name, value)


def as_conv(layer: BinaryConv2d | BinaryDense) -> BinaryConv2d:
    """A dense layer as a convolution of one pixel."""
    if isinstance(layer, BinaryConv2d):
        return layer
    return BinaryConv2d(layer.weight[:, None, None], layer.in_features)


def max_pool(file: Emitter, name: str, result: str, at: int, x: Value, pool: MaxPool) -> int:
    value = infer(result, pool, (x,))
    padding = padding_of(pool.pads, x.shape, pool.kernel, pool.strides)
    if padding is None:
        # Ones, -1 in every channel, and the lowest float lose against every pixel.
        fill = np.array([-1], np.int32) if x.kind is Kind.BITS else np.array([LOWEST], np.float32)
        at, padding = file.pad(f"{name}/pooling", at, x, pool.pads, fill), VALID
    (height, width), (down, right) = pool.kernel, pool.strides
    if x.kind is Kind.BITS:
        window = {"filter_height": height, "filter_width": width, "stride_height": down, "stride_width": right}
        return file.bits("LceBMaxPool2d", (at,), result, value, padding=padding, **window)
    window = {"filter_height": height, "filter_width": width, "stride_h": down, "stride_w": right}
    return file.real("MAX_POOL_2D", (at,), result, value, padding=padding, **window)
