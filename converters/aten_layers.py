"""Convolutions, dense layers, norms, pooling and arithmetic of ATen in the graph's terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_toolchain.converters.build import Builder
from bnn_toolchain.converters.ops import (
    Add,
    BatchNorm,
    Bias,
    BinaryConv2d,
    BinaryDense,
    Conv,
    Flatten,
    Gemm,
    MaxPool,
    Op,
    Scale,
    pack_bits,
)
from bnn_toolchain.errors import Unsupported

Get: TypeAlias = Callable[[str], Any]
"""An argument of the traced call by its name in ATen's schema."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the image; if it is sign(latent) times a scale, both are known."""

    value: torch.Tensor
    signs: torch.Tensor | None = None
    scale: torch.Tensor | None = None


@dataclass(frozen=True)
class Padded:
    """A value with a border that the next convolution takes over."""

    number: int
    pads: tuple[int, int, int, int]  # top, left, bottom, right
    value: float


Traced: TypeAlias = int | Constant | Padded | None
"""What a traced operator became: a number of the builder, a constant, a padded value; None if it was refused."""


@dataclass(frozen=True)
class Layers:
    """Adds operators to ``builder`` for one traced call of one module."""

    builder: Builder
    path: str
    call: str

    def add(self, op: Op, *inputs: int) -> int:
        return self.builder.add(self.path, self.call, op, *inputs)

    def pad(self, x: Traced, pads: list[int], value: float | None, mode: str) -> Padded:
        if not isinstance(x, int) or mode != "constant" or len(pads) != 4 or min(pads) < 0:
            raise Unsupported(f"padding by {pads} in mode {mode!r}: pad height and width with a constant")
        left, right, top, bottom = pads
        return Padded(x, (top, left, bottom, right), float(value or 0))

    def conv(self, get: Get) -> int:
        x, pads, value = _border(get("input"), _pair(get("padding")))
        weight, bias = get("weight"), _constant(get("bias"))
        strides, dilations, group = _pair(get("stride")), _pair(get("dilation")), get("groups")
        if not isinstance(weight, Constant):
            raise Unsupported("a convolution whose weights depend on the image: weights must be parameters")
        if weight.signs is None:
            if value:
                raise Unsupported(f"a float convolution padded with {value}: pad float convolutions with 0")
            bias_array = None if bias is None else _array(bias)
            return self.add(Conv(_array(weight.value), bias_array, strides, dilations, pads, group), x)
        if value not in (0.0, 1.0):
            raise Unsupported(f"a binary convolution padded with {value}: pad with 1 or 0")
        packed = pack_bits(_array(weight.signs).transpose(0, 2, 3, 1))
        channels = weight.signs.shape[1]
        conv = self.add(BinaryConv2d(packed, channels, strides, dilations, pads, int(value), group), x)
        return self.scale_and_bias(conv, weight, bias)

    def linear(self, get: Get) -> int:
        x, weight, bias = get("input"), get("weight"), _constant(get("bias"))
        if not isinstance(weight, Constant) or not isinstance(x, int):
            raise Unsupported("a dense layer whose weights depend on the image: weights must be parameters")
        if weight.signs is None:
            return self.add(Gemm(_array(weight.value), None if bias is None else _array(bias)), x)
        signs = _array(weight.signs)
        return self.scale_and_bias(self.add(BinaryDense(pack_bits(signs), signs.shape[1]), x), weight, bias)

    def scale_and_bias(self, x: int, weight: Constant, bias: torch.Tensor | None) -> int:
        if weight.scale is not None and weight.signs is not None:
            outputs, rank = weight.signs.shape[0], weight.signs.ndim
            sides = tuple(weight.scale.shape)
            if weight.scale.numel() != 1 and sides != (outputs, *[1] * (rank - 1)):
                raise Unsupported(f"binary weights scaled by {list(sides)}: use one scale for each output channel")
            x = self.add(Scale(_array(weight.scale.reshape(-1).expand(outputs))), x)
        return x if bias is None else self.add(Bias(_array(bias)), x)

    def batch_norm(self, get: Get) -> int:
        x, mean, var = get("input"), _constant(get("running_mean")), _constant(get("running_var"))
        if mean is None or var is None or get("training"):
            raise Unsupported("a batch norm without running statistics: leave track_running_stats on")
        gamma, beta = _constant(get("weight")), _constant(get("bias"))
        gamma = torch.ones_like(mean) if gamma is None else gamma
        beta = torch.zeros_like(mean) if beta is None else beta
        return self.add(BatchNorm(_array(gamma), _array(beta), _array(mean), _array(var), get("eps")), x)

    def max_pool(self, get: Get) -> int:
        kernel, top_left = _pair(get("kernel_size")), _pair(get("padding"))
        strides = _pair(get("stride")) if get("stride") else kernel
        if _pair(get("dilation")) != (1, 1):
            raise Unsupported("a dilated max pooling: use dilation 1")
        return self.add(MaxPool(kernel, strides, top_left * 2), get("self"))

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        found = self.builder.values[x].shape
        if shape == found:
            return x
        if shape == (prod(found),):
            return self.add(Flatten(channels_last=False), x)
        raise Unsupported(f"a reshape of {found} to {shape}: only flattening to one row of features exists")

    def sum(self, x: Traced, other: Any) -> int:
        match x, other:
            case int(), int():
                return self.add(Add(), x, other)
            case int(), _:
                return self.add(Bias(self.per_channel(x, other)), x)
            case _:
                return self.add(Bias(self.per_channel(other, x)), other)

    def product(self, x: Traced, other: Any) -> int:
        match x, other:
            case int(), Constant() | float():
                return self.add(Scale(self.per_channel(x, other)), x)
            case Constant(), int():
                return self.add(Scale(self.per_channel(other, x)), other)
            case _:
                raise Unsupported("a product of two values of the image: multiply by a number or a scale per channel")

    def per_channel(self, x: int, constant: Any) -> NDArray[np.float32]:
        shape = self.builder.values[x].shape
        tensor = constant.value if isinstance(constant, Constant) else torch.tensor(float(constant))
        sides = tuple(tensor.shape)
        channelwise = (shape[0], *[1] * (len(shape) - 1))
        if tensor.numel() != 1 and sides not in (channelwise, (1, *channelwise)):
            raise Unsupported(f"a constant of shape {list(sides)} with {shape}: use one number for each channel")
        return _array(tensor.to(torch.float32).reshape(-1).expand(shape[0]))


def _border(x: Traced, pads: tuple[int, int]) -> tuple[int, tuple[int, int, int, int], float]:
    """The value that a convolution reads, its pads and what stands there."""
    own = (*pads, *pads)
    match x:
        case int():
            return x, own, 0.0
        case Padded(number, outer, value) if value == 0 or not any(pads) or not any(outer):
            top, left, bottom, right = (a + b for a, b in zip(outer, own, strict=True))
            return number, (top, left, bottom, right), value if any(outer) else 0.0
        case _:
            raise Unsupported("a convolution that pads with 0 what is already padded with 1: pad once")


def _pair(value: Any) -> tuple[int, int]:
    first, second = [value] * 2 if isinstance(value, int) else value * 2 if len(value) == 1 else value
    return int(first), int(second)


def _constant(argument: Any) -> torch.Tensor | None:
    match argument:
        case None:
            return None
        case Constant(value=value):
            return value
        case _:
            raise Unsupported("a parameter that depends on the image: it must be a parameter or a buffer")


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = np.array(tensor.detach().to(torch.float32).numpy(), order="C")
    if not np.all(np.isfinite(array)):
        raise Unsupported("its parameters hold NaN or infinity: the training diverged")
    return array
