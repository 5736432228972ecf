"""Convolutions, dense layers and pooling of the reference interpreter: float32, NHWC or [N, F].

Convolutions go through the window's taps one by one, in the order ky, kx, and see only the outputs whose tap lies
inside the image: taps outside are left out, as the contract of real sums says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.ops import BinaryConv2d, Conv, MaxPool, unpack_bits

Reals: TypeAlias = NDArray[np.float32]


def binary_conv(op: BinaryConv2d, x: Reals, integer: bool) -> Reals:
    """Binary convolution of x [N, H, W, C]; with ``integer`` x holds integers and any order of the sum is exact."""
    signs = unpack_bits(op.weight, op.in_channels).astype(np.float32)
    if op.pad_value:
        top, left, bottom, right = op.pads
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=np.float32(op.pad_value))
        pads = (0, 0, 0, 0)
    else:
        pads = op.pads
    window = Window(signs.shape[1:3], op.strides, op.dilations, pads, op.group)
    return _convolve(window, x, signs, None, integer)


def real_conv(op: Conv, x: Reals, weight: Reals, bias: Reals | None) -> Reals:
    """Float convolution of x [N, H, W, C] with weight [O, kh, kw, I]."""
    window = Window(weight.shape[1:3], op.strides, op.dilations, op.pads, op.group)
    return _convolve(window, x, weight, bias, False)


def real_dense(x: Reals, weight: Reals, bias: Reals | None) -> Reals:
    """x [N, I] times weight [O, I]: features in order, starting from the bias or 0, every step rounded."""
    total = _start((len(x), len(weight)), bias)
    for feature in range(weight.shape[1]):
        total += x[:, feature, None] * weight[:, feature]
    return total


def average(x: Reals) -> Reals:
    """The mean over each image [N, H, W, C] -> [N, 1, 1, C]: row by row, then times fl(1 / (H W))."""
    total = np.zeros((len(x), x.shape[3]), np.float32)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            total += x[:, row, column]
    mean = total * (np.float32(1) / np.float32(x.shape[1] * x.shape[2]))
    return mean[:, None, None, :].astype(np.float32, copy=False)


def max_pool(op: MaxPool, x: Reals) -> Reals:
    """The maximum over windows of x [N, H, W, C]; what lies outside the image is ignored."""
    window = Window(op.kernel, op.strides, (1, 1), op.pads, 1)
    out, taps = _taps(window, x.shape[1:3])
    largest = np.full((len(x), *out, x.shape[3]), -np.inf, np.float32)
    for tap in taps:
        reached = largest[:, *tap.outputs]
        np.maximum(reached, x[:, *tap.inputs], out=reached)
    return largest


class Window(NamedTuple):
    """The geometry that convolutions and pooling share."""

    kernel: tuple[int, ...]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    group: int


def _start(shape: tuple[int, ...], bias: Reals | None) -> Reals:
    return np.zeros(shape, np.float32) if bias is None else np.broadcast_to(bias, shape).astype(np.float32)


def _convolve(window: Window, x: Reals, weight: Reals, bias: Reals | None, integer: bool) -> Reals:
    out, taps = _taps(window, x.shape[1:3])
    total = _start((len(x), *out, len(weight)), bias)
    wide_in, wide_out = weight.shape[3], len(weight) // window.group
    for tap in taps:
        for group in range(window.group):
            channels = slice(group * wide_out, (group + 1) * wide_out)
            seen = x[:, *tap.inputs, group * wide_in : (group + 1) * wide_in]
            kernel = weight[channels, tap.row, tap.column]
            reached = total[:, *tap.outputs, channels]
            if integer:
                rows = seen.reshape(-1, wide_in)  # one matrix product: numpy would take one for each row of the image
                reached += (rows @ kernel.T).reshape(reached.shape)
            else:
                for channel in range(wide_in):
                    reached += seen[..., channel, None] * kernel[:, channel]
    return total


class _Tap(NamedTuple):
    """One position of the window: the outputs that it reaches inside the image, and the inputs that they read."""

    row: int
    column: int
    outputs: tuple[slice, slice]
    inputs: tuple[slice, slice]


def _reach(tap: int, stride: int, dilation: int, pad: int, size: int, outputs: int) -> tuple[slice, slice]:
    shift = tap * dilation - pad
    first = max(0, -(shift // stride))
    last = min(outputs - 1, (size - 1 - shift) // stride)
    begin = first * stride + shift
    count = max(0, last - first + 1)
    return slice(first, first + count), slice(begin, begin + count * stride, stride)


def _taps(window: Window, sides: tuple[int, ...]) -> tuple[tuple[int, ...], Iterator[_Tap]]:
    """The output's height and width, and the taps in the fixed order of sums."""
    reach = []
    out = []
    for i in (0, 1):
        span = (window.kernel[i] - 1) * window.dilations[i] + 1
        out.append((sides[i] + window.pads[i] + window.pads[i + 2] - span) // window.strides[i] + 1)
        geometry = (window.strides[i], window.dilations[i], window.pads[i], sides[i], out[i])
        reach.append([_reach(tap, *geometry) for tap in range(window.kernel[i])])
    taps = (
        _Tap(ky, kx, (rows[0], columns[0]), (rows[1], columns[1]))
        for ky, rows in enumerate(reach[0])
        for kx, columns in enumerate(reach[1])
    )
    return tuple(out), taps
