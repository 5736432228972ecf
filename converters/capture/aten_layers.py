"""Layers of ATen in the graph's terms: convolutions, dense layers, norms, pooling, activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_toolchain.converters.capture.binary_weights import binary_weights
from bnn_toolchain.converters.capture.builder import Activation, Builder
from bnn_toolchain.converters.capture.values import Constant, Elements, Padded, Place, Traced, activation
from bnn_toolchain.converters.graph.ops import (
    BatchNorm,
    Bias,
    BinaryConv2d,
    BinaryDense,
    Conv,
    Gemm,
    MaxPool,
    Op,
    Scale,
    pack_bits,
)
from bnn_toolchain.errors import Unsupported

Get: TypeAlias = Callable[[str], Any]
"""An argument of the traced call by its name in ATen's schema."""


@dataclass(frozen=True)
class Layers:
    """Adds operators to ``builder`` for one traced call of one module."""

    builder: Builder
    place: Place
    roundings: list[str]
    """Why torch's own arithmetic rounds where the graph's does not, if it does: one sentence each."""

    def add(self, op: Op, *inputs: Activation) -> Elements:
        return Elements(self.builder.add(self.place.path, self.place.call, op, *inputs), self.place)

    def read(self, x: Traced) -> Activation:
        """``x`` as a value of the graph.

        Raises:
            Unsupported: it is a view that the graph cannot express, or no value of the image.
        """
        match x:
            case Elements():
                return activation(self.builder, x)
            case Padded():
                raise Unsupported("padding in front of something else than a convolution: pad before convolutions only")
            case _:
                raise Unsupported("a parameter where a value of the image belongs")

    def elementwise(self, op: Op, x: Traced) -> Elements:
        """``op``, the same for every element, of ``x``: views of its source stay views of the result."""
        if isinstance(x, Elements) and x.index is not None and x.index.shape[-1] == 1:
            result = self.builder.add(self.place.path, self.place.call, op, x.source)
            return Elements(result, replace(self.place, line=x.place.line), x.index)
        return self.add(op, self.read(x))

    def pad(self, x: Traced, pads: list[int], value: float | None, mode: str) -> Traced:
        if not any(pads):
            return x
        if mode != "constant" or len(pads) != 4 or min(pads) < 0:
            raise Unsupported(f"padding by {pads} in mode {mode!r}: pad height and width with a constant")
        left, right, top, bottom = pads
        return Padded(self.read(x), (top, left, bottom, right), float(value or 0))

    def conv(self, get: Get) -> Elements:
        weight, bias = get("weight"), constant(get("bias"))
        if not isinstance(weight, Constant):
            raise Unsupported("a convolution whose weights depend on the image: weights must be parameters")
        strides, dilations, group = pair(get("stride")), pair(get("dilation")), get("groups")
        own = _own_pads(get("padding"), tuple(weight.value.shape[2:]), dilations)
        x, pads, value = self._border(get("input"), own)
        binary = binary_weights(weight.value)
        if binary is None or value not in (0.0, 1.0):
            if value:
                kind = "float" if binary is None else "binary"
                remedy = "0" if binary is None else "1 or 0"
                raise Unsupported(f"a {kind} convolution padded with {value:g}: pad {kind} convolutions with {remedy}")
            weights, biases = array(weight.value), None if bias is None else array(bias)
            return self.add(Conv(weights, biases, strides, dilations, pads, group), x)
        packed = pack_bits(array(binary.signs).transpose(0, 2, 3, 1))
        channels = weight.value.shape[1]
        conv = BinaryConv2d(packed, channels, strides, dilations, pads, int(value), group)
        return self._scaled(self.add(conv, x), binary.scale, bias, binary.exact)

    def linear(self, x: Traced, weight: Traced, bias: Tensor | None) -> Elements:
        """x [N, I] times weight [O, I] transposed, plus bias [O]."""
        if not isinstance(weight, Constant):
            raise Unsupported("a dense layer whose weights depend on the image: weights must be parameters")
        features = self.read(x)
        if len(shape := self.builder.value(features).shape) != 1:
            raise Unsupported(f"a dense layer on values of shape {list(shape)}: flatten each image to one row first")
        binary = binary_weights(weight.value)
        if binary is None:
            return self.add(Gemm(array(weight.value), None if bias is None else array(bias)), features)
        signs = array(binary.signs)
        dense = BinaryDense(pack_bits(signs), signs.shape[1])
        return self._scaled(self.add(dense, features), binary.scale, bias, binary.exact)

    def _scaled(self, x: Elements, scale: Tensor | None, bias: Tensor | None, exact: bool) -> Elements:
        if not exact:
            self.roundings.append(f"{self.place.path}: its weights are signs times a scale, whose products torch sums")
        if scale is not None:
            x = self.add(Scale(array(scale)), x.source)
        return x if bias is None else self.add(Bias(array(bias)), x.source)

    def batch_norm(self, get: Get) -> Elements:
        mean, var = constant(get("running_mean")), constant(get("running_var"))
        if mean is None or var is None:
            raise Unsupported("a batch norm without running statistics: leave track_running_stats on")
        gamma, beta = constant(get("weight")), constant(get("bias"))
        gamma = torch.ones_like(mean) if gamma is None else gamma
        beta = torch.zeros_like(mean) if beta is None else beta
        norm = BatchNorm(array(gamma), array(beta), array(mean), array(var), get("eps"))
        return self.add(norm, self.read(get("input")))

    def max_pool(self, get: Get) -> Traced:
        kernel, top_left = pair(get("kernel_size")), pair(get("padding"))
        strides = pair(get("stride")) if get("stride") else kernel
        if pair(get("dilation")) != (1, 1):
            raise Unsupported("a dilated max pooling: use dilation 1")
        if (kernel, strides, top_left) == ((1, 1), (1, 1), (0, 0)):
            same: Traced = get("self")
            return same
        return self.add(MaxPool(kernel, strides, top_left * 2), self.read(get("self")))

    def _border(self, x: Traced, own: tuple[int, int, int, int]) -> tuple[Activation, tuple[int, int, int, int], float]:
        """The value that a convolution reads, its pads and what stands there."""
        match x:
            case Padded(source, outer, value) if value == 0 or not any(own):
                top, left, bottom, right = (a + b for a, b in zip(outer, own, strict=True))
                return source, (top, left, bottom, right), value
            case Padded(_, _, value):
                raise Unsupported(f"a convolution that pads with 0 what is already padded with {value:g}: pad once")
            case _:
                return self.read(x), own, 0.0


def _own_pads(padding: Any, taps: tuple[int, ...], dilations: tuple[int, int]) -> tuple[int, int, int, int]:
    """A convolution's own padding: top, left, bottom, right. "same" puts the odd pixel below and to the right."""
    match padding:
        case "valid":
            return (0, 0, 0, 0)
        case "same":
            spans = [(tap - 1) * dilation for tap, dilation in zip(taps, dilations, strict=True)]
            top, left = (span // 2 for span in spans)
            return (top, left, spans[0] - top, spans[1] - left)
        case _:
            return pair(padding) * 2


def pair(value: Any) -> tuple[int, int]:
    """One number for both sides, or one for each."""
    first, second = [value] * 2 if isinstance(value, int) else value * 2 if len(value) == 1 else value
    return int(first), int(second)


def constant(argument: Any) -> Tensor | None:
    """The tensor of an optional parameter.

    Raises:
        Unsupported: it depends on the image.
    """
    match argument:
        case None:
            return None
        case Constant(value=value):
            return value
        case _:
            raise Unsupported("a parameter that depends on the image: it must be a parameter or a buffer")


def array(tensor: Tensor) -> NDArray[np.float32]:
    """A parameter as float32.

    Raises:
        Unsupported: it holds NaN or infinity.
    """
    result: NDArray[np.float32] = np.array(tensor.detach().to(torch.float32).numpy(), order="C")
    if not np.all(np.isfinite(result)):
        raise Unsupported("its parameters hold NaN or infinity: the training diverged")
    return result
