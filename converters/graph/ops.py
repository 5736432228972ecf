"""The operators of the graph: one frozen dataclass each.

``OPERATORS.md`` states every contract. Shapes are those of one image: pixels (H, W, C), everything else
(C, H, W) or (F,).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.real_ops import (
    FloatOp,
    OutputTransform,
)

ACC_LIMIT = 1 << 24
"""A float32 holds every integer up to here, so an accumulator must stay below."""

ALWAYS = -(2**31) + 1
"""The tau of a constant channel: every accumulator reaches it."""


class Kind(Enum):
    """What a value holds; natively each kind has its own memory form."""

    PIXELS = "pixels"  # uint8, NHWC
    BITS = "bits"  # every element +1 or -1
    ACC = "acc"  # integers below ACC_LIMIT
    REAL = "real"  # float32


@dataclass(frozen=True)
class Value:
    """One value of the graph: its kind, the shape of one image, and for an accumulator the bound of its magnitude."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    bound: int = 0


@dataclass(frozen=True, eq=False)
class PixelInput:
    """pixels -> acc: pixel - offset, an integer in [-offset, 255 - offset]; NHWC becomes CHW."""

    offset: int


@dataclass(frozen=True, eq=False)
class PixelNormalize:
    """pixels -> real: fl(fl(pixel - offset[c]) * scale[c]); NHWC becomes CHW."""

    scale: NDArray[np.float32]  # (C,)
    offset: NDArray[np.float32]  # (C,)


@dataclass(frozen=True, eq=False)
class Sign:
    """real -> bits: x >= 0 gives +1, else -1 (NaN -1, -0.0 +1)."""


@dataclass(frozen=True, eq=False)
class ToReal:
    """bits or acc -> real: the same numbers as float32."""


@dataclass(frozen=True, eq=False)
class BinaryConv2d:
    """Convolution with binary weights: bits or acc -> acc, real -> real."""

    weight: NDArray[np.uint8]  # (O, kh, kw, ceil(I/8)): channel i is bit i%8 of byte i//8, 1 means -1, tail bits 0
    in_channels: int  # I, the true input channels of one group
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    pad_value: int = 0  # +1 or 0; what the image is outside itself
    group: int = 1


@dataclass(frozen=True, eq=False)
class BinaryDense:
    """Dense layer with binary weights: bits or acc -> acc, real -> real."""

    weight: NDArray[np.uint8]  # (O, ceil(I/8)), packed as in BinaryConv2d
    in_features: int  # I


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Maximum over windows, kind kept; what lies outside the image is ignored."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Flatten:
    """(C, H, W) -> (F,), kind kept.

    ``channels_last`` orders features H, W, C as packed activations lie in memory: every lowered graph has it so.
    torch's own order, C, H, W, exists only before lowering.
    """

    channels_last: bool = True


@dataclass(frozen=True, eq=False)
class Threshold:
    """acc -> bits: (acc >= tau[c]) xor flip[c] gives +1, else -1."""

    tau: NDArray[np.int32]  # (C,)
    flip: NDArray[np.bool_]  # (C,)


@dataclass(frozen=True, eq=False)
class Affine:
    """acc or real -> real: fl(fl(x * scale[c]) + offset[c]), two float32 roundings, never fused."""

    scale: NDArray[np.float32]  # (C,)
    offset: NDArray[np.float32]  # (C,)


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """real -> real, evaluation-mode batch norm as torch computes it; only before lowering."""

    gamma: NDArray[np.float32]  # (C,)
    beta: NDArray[np.float32]  # (C,)
    mean: NDArray[np.float32]  # (C,)
    var: NDArray[np.float32]  # (C,)
    eps: float


@dataclass(frozen=True, eq=False)
class Scale:
    """real -> real: fl(x * scale[c]); only before lowering."""

    scale: NDArray[np.float32]  # (C,)


@dataclass(frozen=True, eq=False)
class Divide:
    """real -> real: fl(x / divisor[c]); only before lowering."""

    divisor: NDArray[np.float32]  # (C,), none of them 0


@dataclass(frozen=True, eq=False)
class Bias:
    """real -> real: fl(x + bias[c]); only before lowering."""

    bias: NDArray[np.float32]  # (C,)


@dataclass(frozen=True, eq=False)
class Relu:
    """real -> real: max(x, 0)."""


@dataclass(frozen=True, eq=False)
class PRelu:
    """real -> real: x where x >= 0, else fl(x * slope[c])."""

    slope: NDArray[np.float32]  # (C,)


@dataclass(frozen=True, eq=False)
class Hardtanh:
    """real -> real: x clamped to [-1, 1]."""


@dataclass(frozen=True, eq=False)
class Conv:
    """Float convolution, real -> real; zeros outside the image."""

    weight: NDArray[np.float32]  # (O, I/group, kh, kw)
    bias: NDArray[np.float32] | None  # (O,)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    group: int = 1


@dataclass(frozen=True, eq=False)
class Gemm:
    """Float dense layer, real -> real."""

    weight: NDArray[np.float32]  # (O, I)
    bias: NDArray[np.float32] | None  # (O,)


@dataclass(frozen=True, eq=False)
class Add:
    """real + real -> real, equal shapes."""


@dataclass(frozen=True, eq=False)
class GlobalAveragePool:
    """real (C, H, W) -> real (C, 1, 1): the mean over the image."""


@dataclass(frozen=True, eq=False)
class BinaryConv2dThreshold:
    """BinaryConv2d, then Threshold: one kernel launch."""

    conv: BinaryConv2d
    threshold: Threshold


@dataclass(frozen=True, eq=False)
class BinaryConv2dMaxPoolThreshold:
    """BinaryConv2d, MaxPool of the accumulators, then Threshold: one kernel launch."""

    conv: BinaryConv2d
    pool: MaxPool
    threshold: Threshold


@dataclass(frozen=True, eq=False)
class BinaryDenseThreshold:
    """BinaryDense, then Threshold: one kernel launch."""

    dense: BinaryDense
    threshold: Threshold


Op: TypeAlias = (
    PixelInput
    | PixelNormalize
    | Sign
    | ToReal
    | BinaryConv2d
    | BinaryDense
    | MaxPool
    | Flatten
    | Threshold
    | Affine
    | BatchNorm
    | Scale
    | Divide
    | Bias
    | Relu
    | PRelu
    | Hardtanh
    | Conv
    | Gemm
    | Add
    | GlobalAveragePool
    | BinaryConv2dThreshold
    | BinaryConv2dMaxPoolThreshold
    | BinaryDenseThreshold
    | OutputTransform
    | FloatOp
)


def pack_bits(signs: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Pack ±1 values along the last axis: uint8 (..., ceil(I/8)), little-endian, bit 1 where the value is negative."""
    return np.packbits(np.asarray(signs) < 0, axis=-1, bitorder="little")


def unpack_bits(packed: NDArray[np.uint8], count: int) -> NDArray[np.int8]:
    """The inverse of :func:`pack_bits`: int8 (..., count), every element +1 or -1."""
    bits = np.unpackbits(packed, axis=-1, count=count, bitorder="little")
    return (1 - 2 * bits.astype(np.int8)).astype(np.int8)


_BITS_SET = np.array([byte.bit_count() for byte in range(256)], np.uint8)  # numpy counts bits from 2.0 on


def tap_sums(conv: BinaryConv2d) -> NDArray[np.int32]:
    """The sum of each tap's weights over the input channels of one group: int32 (O, kh, kw)."""
    minus = _BITS_SET[conv.weight].sum(-1, dtype=np.int32)
    sums: NDArray[np.int32] = (conv.in_channels - 2 * minus).astype(np.int32)
    return sums


def negated(packed: NDArray[np.uint8], count: int, channels: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Packed weights (O, …, ceil(I/8)) with those of some output ``channels`` (O,) times -1."""
    flips = pack_bits(np.full(count, -1, np.int8))
    return packed ^ np.where(channels.reshape(-1, *(1,) * (packed.ndim - 1)), flips, np.uint8(0))


def repacked(packed: NDArray[np.uint8], count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The same bits in rows of another length: those of ``shape``, packed along its last axis."""
    bits = np.unpackbits(packed, axis=-1, count=count, bitorder="little")
    return np.packbits(bits.reshape(shape), axis=-1, bitorder="little")
