"""What each operator yields, its kind, shape and bound, and the refusal of inputs that it does not take."""

from __future__ import annotations

from math import prod
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.ops import (
    ACC_LIMIT,
    Add,
    Affine,
    BatchNorm,
    Bias,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Conv,
    Divide,
    Flatten,
    Gemm,
    GlobalAveragePool,
    Hardtanh,
    Kind,
    MaxPool,
    Op,
    PixelInput,
    PixelNormalize,
    PRelu,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
    Value,
)
from bnn_toolchain.converters.graph.real_ops import (
    AveragePool,
    BorderCorrection,
    Clamp,
    Concat,
    Multiply,
    OutputTransform,
    Pad,
    Sigmoid,
    Slice,
    Softmax,
    float_shape,
)
from bnn_toolchain.converters.graph.size import check_elements, check_pooled, check_products
from bnn_toolchain.converters.graph.traits import parts
from bnn_toolchain.errors import Unsupported


def infer(name: str, op: Op, inputs: tuple[Value, ...]) -> Value:
    """The value that ``op`` yields from ``inputs``.

    Raises:
        Unsupported: wrong kind, rank, channel count or window, an accumulator that a float32 cannot hold, or a size
            beyond those of :mod:`bnn_toolchain.converters.graph.size`.
    """
    x = inputs[0]
    kind, shape, bound = x.kind, x.shape, x.bound
    match op:
        case PixelInput(offset):
            _expect(name, op, x, {Kind.PIXELS}, 3)
            kind, shape, bound = Kind.ACC, (shape[2], shape[0], shape[1]), max(offset, 255 - offset)
        case PixelNormalize(scale, offset):
            _expect(name, op, x, {Kind.PIXELS}, 3)
            _per_channel(name, op, shape[2], scale, offset)
            kind, shape, bound = Kind.REAL, (shape[2], shape[0], shape[1]), 0
        case Sign():
            _expect(name, op, x, {Kind.REAL}, None)
            kind = Kind.BITS
        case ToReal():
            _expect(name, op, x, {Kind.BITS, Kind.ACC}, None)
            kind, bound = Kind.REAL, 0
        case BinaryConv2d():
            _expect(name, op, x, {Kind.BITS, Kind.ACC, Kind.REAL}, 3)
            taps = (op.weight.shape[1], op.weight.shape[2])
            shape = _windows(name, op, shape, op.weight.shape[0], op.in_channels * op.group, taps, op)
            kind, bound = _accumulate(name, op, x, op.in_channels * prod(taps))
        case BinaryDense():
            _expect(name, op, x, {Kind.BITS, Kind.ACC, Kind.REAL}, 1)
            if shape[0] != op.in_features:
                raise Unsupported(f"{name}: {shape[0]} features arrive where the weights take {op.in_features}")
            shape = (op.weight.shape[0],)
            kind, bound = _accumulate(name, op, x, op.in_features)
        case MaxPool():
            _expect(name, op, x, {Kind.BITS, Kind.ACC, Kind.REAL}, 3)
            if any(p >= k for p, k in zip(op.pads, op.kernel * 2, strict=True)):
                raise Unsupported(f"{name}: pooling pads {op.pads} must be smaller than the window {op.kernel}")
            shape = _windows(name, op, shape, shape[0], shape[0], op.kernel, op)
        case Flatten():
            _expect(name, op, x, {Kind.BITS, Kind.ACC, Kind.REAL}, 3)
            shape = (prod(shape),)
        case Threshold(tau, flip):
            _expect(name, op, x, {Kind.ACC}, None)
            _per_channel(name, op, shape[0], tau, flip)
            kind, bound = Kind.BITS, 0
        case Affine(scale, offset):
            _expect(name, op, x, {Kind.ACC, Kind.REAL}, None)
            _per_channel(name, op, shape[0], scale, offset)
            kind, bound = Kind.REAL, 0
        case BatchNorm():
            _expect(name, op, x, {Kind.REAL}, None)
            _per_channel(name, op, shape[0], op.gamma, op.beta, op.mean, op.var)
        case Scale(scale):
            _expect(name, op, x, {Kind.REAL}, None)
            _per_channel(name, op, shape[0], scale)
        case Divide(divisor):
            _expect(name, op, x, {Kind.REAL}, None)
            _per_channel(name, op, shape[0], divisor)
        case Bias(bias):
            _expect(name, op, x, {Kind.REAL}, None)
            _per_channel(name, op, shape[0], bias)
        case Relu() | Hardtanh():
            _expect(name, op, x, {Kind.REAL}, None)
        case PRelu(slope):
            _expect(name, op, x, {Kind.REAL}, None)
            _per_channel(name, op, shape[0], slope)
        case Conv():
            _expect(name, op, x, {Kind.REAL}, 3)
            taps = (op.weight.shape[2], op.weight.shape[3])
            shape = _windows(name, op, shape, op.weight.shape[0], op.weight.shape[1] * op.group, taps, op)
        case Gemm(weight, _):
            _expect(name, op, x, {Kind.REAL}, 1)
            if shape[0] != weight.shape[1]:
                raise Unsupported(f"{name}: {shape[0]} features arrive where the weights take {weight.shape[1]}")
            shape = (weight.shape[0],)
        case Add():
            for value in inputs:
                _expect(name, op, value, {Kind.REAL}, None)
            if len(inputs) != 2 or inputs[0].shape != inputs[1].shape:
                raise Unsupported(f"{name}: Add takes two values of one shape, not {[v.shape for v in inputs]}")
        case GlobalAveragePool():
            _expect(name, op, x, {Kind.REAL}, 3)
            shape = (shape[0], 1, 1)
        case BinaryConv2dThreshold() | BinaryConv2dMaxPoolThreshold() | BinaryDenseThreshold():
            return _fused(name, x, op)
        case OutputTransform(_, _, _, multiplier, bias):
            _expect(name, op, x, {Kind.ACC}, None)
            _per_channel(name, op, shape[0], multiplier, bias)
            kind, bound = Kind.REAL, 0
        case (
            BorderCorrection()
            | Pad()
            | AveragePool()
            | Softmax()
            | Sigmoid()
            | Clamp()
            | Multiply()
            | Concat()
            | Slice()
        ):
            for value in inputs:
                _expect(name, op, value, {Kind.REAL}, None)
            shape = float_shape(name, op, tuple(value.shape for value in inputs))
        case _:
            assert_never(op)
    check_elements(name, shape)
    return Value(name, kind, shape, bound)


def _fused(name: str, x: Value, op: Op) -> Value:
    value = x
    for part in parts(op):
        value = infer(name, part, (value,))
    if value.kind is not Kind.BITS:
        raise Unsupported(f"{name}: a fused operator takes bits or pixels, not {x.kind.value}")
    return value


def _expect(name: str, op: Op, value: Value, kinds: set[Kind], rank: int | None) -> None:
    if value.kind not in kinds:
        wanted = " or ".join(sorted(k.value for k in kinds))
        raise Unsupported(
            f"{name}: {type(op).__name__} takes {wanted}, not the {value.kind.value} value '{value.name}'"
        )
    if rank is not None and len(value.shape) != rank:
        raise Unsupported(f"{name}: {type(op).__name__} takes a value of rank {rank}, not '{value.name}' {value.shape}")


def _per_channel(name: str, op: Op, channels: int, *arrays: NDArray[np.generic]) -> None:
    for array in arrays:
        if array.shape != (channels,):
            raise Unsupported(f"{name}: {type(op).__name__} has parameters {array.shape} for {channels} channels")


def _accumulate(name: str, op: Op, x: Value, taps: int) -> tuple[Kind, int]:
    if x.kind is Kind.REAL:
        return Kind.REAL, 0
    bound = taps * (x.bound if x.kind is Kind.ACC else 1)
    if bound >= ACC_LIMIT:
        raise Unsupported(
            f"{name}: {type(op).__name__} can reach {bound}, the limit is {ACC_LIMIT - 1}: split the layer"
        )
    return Kind.ACC, bound


def _windows(
    name: str,
    op: Op,
    shape: tuple[int, ...],
    out_channels: int,
    in_channels: int,
    taps: tuple[int, int],
    window: BinaryConv2d | Conv | MaxPool,
) -> tuple[int, ...]:
    if shape[0] != in_channels:
        raise Unsupported(f"{name}: {shape[0]} channels arrive where {type(op).__name__} takes {in_channels}")
    if not isinstance(window, MaxPool) and out_channels % window.group:
        raise Unsupported(f"{name}: {out_channels} output channels do not divide into {window.group} groups")
    dilations = (1, 1) if isinstance(window, MaxPool) else window.dilations
    padded = [shape[1 + axis] + window.pads[axis] + window.pads[axis + 2] for axis in (0, 1)]
    check_elements(name, (shape[0], *padded))
    out = []
    for axis in (0, 1):
        span = (taps[axis] - 1) * dilations[axis] + 1
        room = padded[axis] - span
        if room < 0 or window.strides[axis] < 1:
            raise Unsupported(
                f"{name}: a window of {span} does not fit the padded input {shape} of {type(op).__name__}"
            )
        out.append(room // window.strides[axis] + 1)
    if isinstance(window, MaxPool):
        check_pooled(name, taps)
        check_products(name, prod(taps), (out_channels, *out))
    else:
        check_products(name, prod(taps) * in_channels // window.group, (out_channels, *out))
    return (out_channels, *out)
