"""Real-valued operators of models that were not trained here; the reference runs them, no bnnt file holds them.

Larq models bring them in .tflite files. Shapes are those of one image, (C, H, W) or (F,); values in :func:`run_float`
are NHWC or [N, F], as in the reference interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.size import check_elements, check_pooled
from bnn_toolchain.errors import Unsupported

Reals = NDArray[np.float32]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class OutputTransform:
    """acc -> real, as Larq Compute Engine (LCE) rounds it: fl(fl(clamp(taps - x, low, high) * multiplier) + bias)."""

    taps: int  # K: the products that one accumulator sums
    low: int
    high: int
    multiplier: Reals  # (C,): minus the batch norm's scale
    bias: Reals  # (C,)


@dataclass(frozen=True, eq=False)
class BorderCorrection:
    """real -> real: fl(x + fl(multiplier * border)), what LCE adds to a convolution that it padded with +1, not 0."""

    sums: NDArray[np.int32]  # (C, kh, kw): of the weights of each tap
    multiplier: Reals  # (C,): the batch norm's scale
    size: tuple[int, int]  # of the convolution's input image
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Pad:
    """real -> real: the image inside a frame of ``value``, and channels of it before and after the others."""

    pads: tuple[int, int, int, int]  # top, left, bottom, right
    channels: tuple[int, int]  # before, after
    value: float


@dataclass(frozen=True, eq=False)
class AveragePool:
    """real -> real: the mean over windows, of the pixels that lie inside the image."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Softmax:
    """real (F,) -> real (F,)."""

    beta: float


@dataclass(frozen=True, eq=False)
class Sigmoid:
    """real -> real."""


@dataclass(frozen=True, eq=False)
class Clamp:
    """real -> real: x clamped to [low, high]."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Multiply:
    """real * real -> real: equal shapes, or one factor for each channel."""


@dataclass(frozen=True, eq=False)
class Concat:
    """reals -> real: one after the other along the channels."""


@dataclass(frozen=True, eq=False)
class Slice:
    """real -> real: the channels from start to stop."""

    start: int
    stop: int


FloatOp: TypeAlias = BorderCorrection | Pad | AveragePool | Softmax | Sigmoid | Clamp | Multiply | Concat | Slice


def float_shape(name: str, op: FloatOp, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of what ``op`` yields from reals of ``shapes``.

    Raises:
        Unsupported: shapes that ``op`` does not take.
    """
    shape = shapes[0]
    match op:
        case BorderCorrection():
            spans = [(k - 1) * d + 1 for k, d in zip(op.sums.shape[1:], op.dilations, strict=True)]
            sizes = [op.size[axis] + op.pads[axis] + op.pads[axis + 2] - spans[axis] for axis in (0, 1)]
            fits = shape == (len(op.sums), *(size // s + 1 for size, s in zip(sizes, op.strides, strict=True)))
        case Pad(pads, channels):
            fits = len(shape) == 3
            if fits:
                top, left, bottom, right = pads
                shape = (shape[0] + sum(channels), shape[1] + top + bottom, shape[2] + left + right)
        case AveragePool(kernel, strides, pads):
            fits = len(shape) == 3 and all(p < k for p, k in zip(pads, kernel * 2, strict=True))
            if fits:
                padded = [shape[1 + axis] + pads[axis] + pads[axis + 2] for axis in (0, 1)]
                check_elements(name, (shape[0], *padded))
                check_pooled(name, kernel)
                rooms = [side - k for side, k in zip(padded, kernel, strict=True)]
                fits = min(rooms) >= 0
                shape = (shape[0], *(room // s + 1 for room, s in zip(rooms, strides, strict=True)))
        case Softmax():
            fits = len(shape) == 1
        case Multiply():
            fits = len(shapes) == 2 and (shape == shapes[1] or shapes[1] in (shape[:1], (shape[0], 1, 1)))
        case Concat():
            fits = all(sides[1:] == shape[1:] for sides in shapes)
            shape = (sum(sides[0] for sides in shapes), *shape[1:])
        case Slice(start, stop):
            fits = 0 <= start < stop <= shape[0]
            shape = (stop - start, *shape[1:])
        case Sigmoid() | Clamp():
            fits = True
        case _:
            assert_never(op)
    if not fits:
        raise Unsupported(f"{name}: {type(op).__name__} does not take values of the shapes {list(shapes)}")
    return shape


def run_float(op: FloatOp, inputs: list[NDArray[Any]]) -> Reals:
    """What ``op`` yields, in float32; sums run over the window top to bottom, left to right."""
    x: Reals = inputs[0]
    match op:
        case BorderCorrection():
            return x + op.multiplier * border(op.sums, op.size, op.strides, op.dilations, op.pads)
        case Pad((top, left, bottom, right), channels, value):
            return np.pad(x, ((0, 0), (top, bottom), (left, right), channels), constant_values=np.float32(value))
        case AveragePool():
            return _average_pool(op, x)
        case Softmax(beta):
            powers: Reals = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(beta))
            total: Reals = powers.sum(axis=-1, keepdims=True)
            return powers / total
        case Sigmoid():
            return np.float32(1) / (np.float32(1) + np.exp(-x))
        case Clamp(low, high):
            return np.clip(x, np.float32(low), np.float32(high))
        case Multiply():
            factor: Reals = inputs[1]
            return x * factor.reshape(len(x), *(1,) * (x.ndim - factor.ndim), *factor.shape[1:])
        case Concat():
            return np.concatenate(inputs, axis=-1)
        case Slice(start, stop):
            return x[..., start:stop]
        case _:
            assert_never(op)


def _average_pool(op: AveragePool, x: Reals) -> Reals:
    top, left, bottom, right = op.pads
    frame = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded, inside = np.pad(x, frame), np.pad(np.ones((1, *x.shape[1:3], 1), np.float32), frame)
    rows = (padded.shape[1] - op.kernel[0]) // op.strides[0] + 1
    columns = (padded.shape[2] - op.kernel[1]) // op.strides[1] + 1
    total = np.zeros((len(x), rows, columns, x.shape[3]), np.float32)
    count = np.zeros((1, rows, columns, 1), np.float32)
    for place in range(prod(op.kernel)):
        y, left = divmod(place, op.kernel[1])
        window = (
            slice(None),
            slice(y, y + (rows - 1) * op.strides[0] + 1, op.strides[0]),
            slice(left, left + (columns - 1) * op.strides[1] + 1, op.strides[1]),
        )
        total += padded[window]
        count += inside[window]
    return (total / count).astype(np.float32, copy=False)


def border(
    sums: NDArray[np.int32],
    size: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, int, int, int],
) -> Reals:
    """What padding a binary convolution with 0 changes against padding with +1: integers, (1, OH, OW, C).

    Minus the sum of the weights of all taps that lie outside the image; ``sums`` (C, kh, kw) holds those of each tap.
    """
    inside = []
    for axis in (0, 1):
        taps = sums.shape[1 + axis]
        outputs = (size[axis] + pads[axis] + pads[axis + 2] - (taps - 1) * dilations[axis] - 1) // strides[axis] + 1
        inside.append(taps_inside(np.arange(outputs), taps, size[axis], strides[axis], dilations[axis], pads[axis]))
    return outside(tap_totals(sums), *inside)[None]


def taps_inside(
    outputs: NDArray[np.int64], taps: int, size: int, stride: int, dilation: int, pad: int
) -> NDArray[np.int64]:
    """For each of ``outputs`` along one axis the first tap inside the image and the one behind the last: (N, 2)."""
    start = outputs * stride - pad
    first = (-(start // dilation)).clip(0, taps)
    return np.stack([first, np.maximum(first, -((start - size) // dilation)).clip(0, taps)], axis=1)


def tap_totals(sums: NDArray[np.int32]) -> NDArray[np.int32]:
    """The sum of ``sums`` (C, kh, kw) over all taps above and to the left: (kh + 1, kw + 1, C)."""
    channels, height, width = sums.shape
    totals = np.zeros((height + 1, width + 1, channels), np.int32)
    totals[1:, 1:] = sums.transpose(1, 2, 0).cumsum(0, np.int32).cumsum(1, np.int32)
    return totals


def outside(totals: NDArray[np.int32], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Reals:
    """Minus the sums of the taps outside: (N, M, C) for the taps inside ``rows`` (N, 2) and ``columns`` (M, 2)."""
    (top, bottom), (left, right) = rows.T[:, :, None], columns.T[:, None]
    within = totals[bottom, right] - totals[top, right] - totals[bottom, left] + totals[top, left]
    change: Reals = (within - totals[-1, -1]).astype(np.float32)
    return change
