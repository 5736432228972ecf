"""Everything that is affine for each channel, however it is written: ATen's arithmetic as Scale, Bias and Divide."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_toolchain.converters.capture.aten_layers import Get, Layers, array
from bnn_toolchain.converters.capture.values import IMAGES, BatchSize, Constant, Elements, Traced, positions
from bnn_toolchain.converters.graph.ops import Add, Bias, Divide, Scale
from bnn_toolchain.errors import Unsupported

NAMES = frozenset({"add.Tensor", "sub.Tensor", "rsub.Scalar", "rsub.Tensor", "mul.Tensor", "div.Tensor", "neg.default",
                   "addcmul.default", "add.Scalar", "sub.Scalar", "mul.Scalar", "div.Scalar"})  # fmt: skip

_ONE_STEP = "torch multiplies and adds with one rounding"


def affine(layers: Layers, name: str, get: Get) -> Traced:
    """The operator ``name``, one of ``NAMES``.

    torch evaluates each step with one rounding, and so do Scale, Bias and Divide; where it multiplies and adds in one
    step (``alpha``, ``addcmul``), that is noted unless the product is exact.

    Raises:
        Unsupported: a product of two values of the image, a constant that differs within a channel, a batch size.
    """
    x = get("self")
    match name:
        case "neg.default":
            return _apply(layers, x, Scale, -1.0)
        case "add.Tensor" | "add.Scalar":
            return _sum(layers, x, get("other"), float(get("alpha")))
        case "sub.Tensor" | "sub.Scalar":
            return _sum(layers, x, get("other"), -float(get("alpha")))
        case "rsub.Tensor" | "rsub.Scalar":
            return _sum(layers, get("other"), x, -float(get("alpha")))
        case "mul.Tensor" | "mul.Scalar":
            return _product(layers, x, get("other"))
        case "div.Tensor" | "div.Scalar":
            if not isinstance(x, Elements) or isinstance(get("other"), Elements):
                raise Unsupported("a division by a value of the image: divide by a number or by one for each channel")
            return _quotient(layers, x, get("other"))
        case _:
            first, second = get("tensor1"), get("tensor2")
            if isinstance(second, Elements):
                first, second = second, first
            if isinstance(second, Elements):
                raise Unsupported("a product of two values of the image: multiply by a number or a scale per channel")
            factor = _number(second) * get("value")
            if isinstance(first, Elements):
                layers.roundings.append(f"{layers.place.path}: {_ONE_STEP}")
                return _sum(layers, _apply(layers, first, Scale, factor), x, 1.0)
            return _sum(layers, x, Constant(_number(first) * factor), 1.0)


def _sum(layers: Layers, x: Any, y: Any, factor: float) -> Elements:
    """x + ``factor`` y."""
    match x, y:
        case Elements(), Elements():
            first, second = layers.read(x), layers.read(_times(layers, y, factor))
            sides = [list(layers.builder.value(term).shape) for term in (first, second)]
            if sides[0] != sides[1]:
                raise Unsupported(f"an addition of values of shape {sides[0]} and {sides[1]}: add values of one shape")
            return layers.add(Add(), first, second)
        case Elements(), _:
            product = _number(y).to(torch.float64) * factor
            if abs(factor) != 1 and torch.any(product.to(torch.float32) != product):
                layers.roundings.append(f"{layers.place.path}: {_ONE_STEP}")
            return _apply(layers, x, Bias, product)
        case _:
            return _sum(layers, _times(layers, y, factor), x, 1.0)


def _times(layers: Layers, x: Elements, factor: float) -> Elements:
    if abs(factor) != 1 and np.frexp(factor)[0] != 0.5:
        layers.roundings.append(f"{layers.place.path}: {_ONE_STEP}")
    return _apply(layers, x, Scale, factor)


def _product(layers: Layers, x: Any, y: Any) -> Elements:
    match x, y:
        case Elements(), Elements():
            raise Unsupported("a product of two values of the image: multiply by a number or a scale per channel")
        case Elements(), _:
            return _apply(layers, x, Scale, y)
        case _:
            return _apply(layers, y, Scale, x)


def _quotient(layers: Layers, x: Elements, y: Any) -> Elements:
    divisor = _number(y).to(torch.float32)
    if torch.any(divisor == 0):
        raise Unsupported("a division by 0: divide by a number that is not")
    if torch.all(torch.frexp(divisor).mantissa.abs() == 0.5):
        return _apply(layers, x, Scale, 1 / divisor)  # by a power of two: the same number
    return _apply(layers, x, Divide, divisor)


def _apply(layers: Layers, x: Traced, op: type[Scale] | type[Bias] | type[Divide], operand: Any) -> Elements:
    """``x`` and a number for each channel: of a view's source if its channels have one each, else of the view."""
    if not isinstance(x, Elements):
        raise Unsupported("padding in front of something else than a convolution: pad before convolutions only")
    number = _number(operand).to(torch.float32)
    neutral = torch.all(number == (0 if op is Bias else 1))
    if x.index is not None and x.index.shape[-1] == 1:
        spread = torch.full((positions(layers.builder, Elements(x.source, x.place)).numel(),), torch.nan)
        try:
            spread[x.index.flatten()] = number.expand(x.index.shape[:-1]).reshape(-1)
        except RuntimeError as error:  # the constant makes the value larger
            raise Unsupported(_misfit(number, tuple(x.index.shape[1:-1]))) from error
        shape = (IMAGES, *layers.builder.value(x.source).shape)
        per_channel = _per_channel(spread.reshape(shape))
        if per_channel is not None:
            return x if neutral else layers.elementwise(op(per_channel), x)
    source = layers.read(x)
    shape = layers.builder.value(source).shape
    try:
        per_channel = _per_channel(number.expand(2, *shape))
    except RuntimeError:
        per_channel = None
    if per_channel is None:
        raise Unsupported(_misfit(number, shape))
    return Elements(source, x.place) if neutral else layers.add(op(per_channel), source)


def _per_channel(spread: Tensor) -> NDArray[np.float32] | None:
    """One number for each channel of ``spread`` [N, C, …], or None if they differ within one."""
    first = spread[:1].flatten(2)[:, :, :1] if spread.ndim > 2 else spread[:1]
    wide = first.reshape(1, spread.shape[1], *[1] * (spread.ndim - 2))
    return array(first.flatten()) if torch.equal(wide.expand_as(spread), spread) else None


def _misfit(number: Tensor, shape: tuple[int, ...]) -> str:
    return f"a constant of shape {list(number.shape)} with {list(shape)}: use one number for each channel"


def _number(operand: Any) -> Tensor:
    match operand:
        case Constant(value=value):
            return value
        case BatchSize():
            raise Unsupported("arithmetic with the number of images: the result of one image must not depend on others")
        case Tensor():
            return operand
        case _:
            return torch.tensor(operand, dtype=torch.float64)
