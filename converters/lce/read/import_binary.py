"""Operators of Larq Compute Engine on bits."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Kind,
    Op,
    Threshold,
    Value,
    tap_sums,
)
from bnn_toolchain.converters.graph.real_ops import BorderCorrection, OutputTransform
from bnn_toolchain.converters.lce.format.container import Operator
from bnn_toolchain.converters.lce.format.limits import from_limits
from bnn_toolchain.converters.lce.read.scope import NONE, RELU, RELU6, RELU_N1_TO_1, WORD, Scope
from bnn_toolchain.errors import FileFormatError, Unsupported

_BCONV = (
    "channels_in",
    "dilation_height_factor",
    "dilation_width_factor",
    "fused_activation_function",
    "pad_values",
    "padding",
    "stride_height",
    "stride_width",
)


def binary_conv(scope: Scope, operator: Operator, options: dict[str, Any], out: int) -> None:
    x = scope.value(operator, 0)
    missing = [key for key in _BCONV if key not in options]
    if missing or len(operator.inputs) != 5 or x.kind is not Kind.BITS:
        raise FileFormatError(f"{scope.where} lacks an option {missing}, an input, or bits to read")
    words = scope.constant(operator, 1, np.int32, 4)
    channels = scope.integer(options, "channels_in", 1, 2**31 - 1)
    group, rest = divmod(-(-channels // WORD), words.shape[3])
    if x.shape[0] != channels or rest or group < 1 or (group > 1 and channels % (WORD * group)):
        raise FileFormatError(
            f"{scope.where}: {list(words.shape)} words of weights for {channels} of {x.shape[0]} channels"
        )
    inputs = channels // group
    weight = np.ascontiguousarray(words, "<i4").view(np.uint8)[..., : -(-inputs // 8)]
    if inputs % WORD and np.any(words[..., -1].astype(np.int64) & (0xFFFFFFFF >> (inputs % WORD) << (inputs % WORD))):
        raise FileFormatError(f"{scope.where}: weights beyond its {inputs} channels are not 0")
    strides = scope.pair(options, "stride_height", "stride_width")
    dilations = scope.pair(options, "dilation_height_factor", "dilation_width_factor")
    pads = scope.pads(options, x, words.shape[1:3], strides, dilations)
    zero = any(pads) and not options["pad_values"]
    conv = BinaryConv2d(np.ascontiguousarray(weight), inputs, strides, dilations, pads, int(any(pads)), group)
    kind = scope.tensors[out].type
    if kind == "INT32" and not zero:
        bits_conv(scope, operator, out, x, conv)
    elif kind == "FLOAT32":
        float_conv(scope, operator, options, out, x, conv, zero)
    else:
        what = f"{kind}{' with zero padding' * zero}"
        raise Unsupported(f"{scope.where}: it yields {what}; float, or bits without zero padding, are read")


def bits_conv(scope: Scope, operator: Operator, out: int, x: Value, conv: BinaryConv2d) -> None:
    limit = scope.constant(operator, 4, np.int32, 1)
    no_flip = np.zeros(len(limit), np.bool_)
    tau = from_limits(limit, no_flip, no_flip, _taps(conv))
    threshold = Threshold(tau, limit == np.iinfo(np.int32).min)
    if len(x.shape) == 1:
        scope.add(out, BinaryDenseThreshold(as_dense(scope, conv), threshold), x.name)
    else:
        scope.add(out, BinaryConv2dThreshold(conv, threshold), x.name)


def float_conv(
    scope: Scope,
    operator: Operator,
    options: dict[str, Any],
    out: int,
    x: Value,
    conv: BinaryConv2d,
    zero: bool,
) -> None:
    taps, outputs = _taps(conv), len(conv.weight)
    multiplier, bias = (scope.per_channel(operator, i, outputs).astype(np.float64) for i in (2, 3))
    activation = options["fused_activation_function"]
    low, high = {RELU: (0, taps), RELU_N1_TO_1: (-1, 1), RELU6: (0, 6)}.get(activation, (-taps, taps))
    if zero and activation != NONE:
        raise Unsupported(f"{scope.where}: an activation with zero padding; LCE's fast kernels refuse it too")
    transform = OutputTransform(
        taps,
        taps - high,
        taps - low,
        (-multiplier).astype(np.float32),
        (bias + taps * multiplier).astype(np.float32),
    )
    layer: Op = as_dense(scope, conv) if len(x.shape) == 1 else conv
    acc = scope.helper(out, "acc", layer, x.name)
    if not zero:
        scope.add(out, transform, acc)
        return
    sums = tap_sums(conv)
    real = scope.helper(out, "padded", transform, acc)
    geometry = (x.shape[1], x.shape[2]), conv.strides, conv.dilations, conv.pads
    scope.add(out, BorderCorrection(sums, multiplier.astype(np.float32), *geometry), real)


def as_dense(scope: Scope, conv: BinaryConv2d) -> BinaryDense:
    outputs, height, width, _ = conv.weight.shape
    if (height, width, conv.group) != (1, 1, 1):
        raise Unsupported(f"{scope.where}: a window of {height}x{width} on flat features")
    return BinaryDense(conv.weight.reshape(outputs, -1), conv.in_channels)


def _taps(conv: BinaryConv2d) -> int:
    return prod(conv.weight.shape[1:3]) * conv.in_channels
