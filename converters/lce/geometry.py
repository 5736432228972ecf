"""Where windows lie: TensorFlow Lite knows SAME and VALID padding, the graph any."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.ops import BinaryConv2d, unpack_bits

SAME, VALID = 0, 1
Pads = tuple[int, int, int, int]  # top, left, bottom, right


def same_pads(
    shape: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int] = (1, 1)
) -> Pads:
    """What SAME adds around an image (C, H, W): ceil(size / stride) windows, the odd pixel at the end."""
    before, after = [], []
    for size, k, stride, dilation in zip(shape[1:], kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before[0], before[1], after[0], after[1]


def padding_of(
    pads: Pads,
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int] = (1, 1),
) -> int | None:
    """The name that TensorFlow Lite has for ``pads`` around an image (C, H, W), None if it has none."""
    if not any(pads):
        return VALID
    return SAME if pads == same_pads(shape, kernel, strides, dilations) else None


def border(conv: BinaryConv2d, shape: tuple[int, ...], out_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """What zero padding changes against padding with +1: float32 [1, OH, OW, O], integers.

    Minus the sum of the weights of all taps that lie outside the image (C, H, W).
    """
    taps = unpack_bits(conv.weight, conv.in_channels).sum(-1, dtype=np.int64)  # (O, kh, kw)
    inside = []
    for axis in (0, 1):
        place = np.arange(out_shape[1 + axis])[:, None] * conv.strides[axis] - conv.pads[axis]
        place = place + np.arange(taps.shape[1 + axis]) * conv.dilations[axis]  # (windows, taps)
        inside.append((place >= 0) & (place < shape[1 + axis]))
    within = np.einsum("okl,yk,xl->yxo", taps, inside[0].astype(np.int64), inside[1].astype(np.int64))
    return (within - taps.sum((1, 2))).astype(np.float32)[None]
