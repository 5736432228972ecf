"""What the values of a traced program stand for while it becomes a graph."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from bnn_toolchain.converters.capture.builder import Activation, Builder
from bnn_toolchain.converters.graph.ops import Flatten, GlobalAveragePool, Scale
from bnn_toolchain.errors import Unsupported

IMAGES = 2
"""Images in the batch on which views are followed: one that mixes images shows in its indices."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the image."""

    value: Tensor


@dataclass(frozen=True)
class BatchSize:
    """A whole number made from the number of images in a batch; ``value`` is what it is for ``IMAGES`` of them."""

    value: int


@dataclass(frozen=True)
class Padded:
    """A value with a border that the next convolution takes over."""

    source: Activation
    pads: tuple[int, int, int, int]  # top, left, bottom, right
    value: float


@dataclass(frozen=True)
class AtLeastZero:
    """Where a value is at least 0, as a comparison yields it."""

    source: Elements


@dataclass(frozen=True)
class Place:
    """Where a traced operator comes from."""

    path: str  # of the torch module, "" for the root
    call: str  # differs between two calls of one module
    line: str  # file:line of the user's, "" if none of it is the user's code


@dataclass(frozen=True, eq=False)
class Elements:
    """Elements of an activation, moved or summed: what views, permutations and means of it yield.

    Only positions are followed, so it does not matter by which operators a view was written.
    """

    source: Activation
    place: Place  # where they were moved or summed last
    index: Tensor | None = None
    """int64 [IMAGES, …, K], the shape that torch sees with one more axis: each element is the sum of K elements of the
    source, by their positions in [IMAGES, C, H, W]; None for the source as it is."""
    factor: float = 1.0  # by which a sum is multiplied


Traced: TypeAlias = Elements | Constant | Padded | AtLeastZero | BatchSize | tuple["Traced", ...] | None
"""What a traced operator became; None if it was refused, or yields nothing."""


def positions(builder: Builder, elements: Elements) -> Tensor:
    """The index of ``elements``, spelled out where it is None."""
    if elements.index is not None:
        return elements.index
    shape = (IMAGES, *builder.value(elements.source).shape)
    return torch.arange(prod(shape)).reshape(*shape, 1)


def summed(builder: Builder, x: Elements, place: Place, dims: list[int], keep: bool, mean: bool) -> Elements:
    """The sum or mean of ``x`` over the axes ``dims`` of what torch sees."""
    index = positions(builder, x)
    rank = index.ndim - 1
    axes = sorted({dim % rank for dim in dims})
    count = prod(index.shape[axis] for axis in axes)
    kept = [axis for axis in range(rank) if axis not in axes]
    shape = [1 if axis in axes else side for axis, side in enumerate(index.shape[:-1]) if keep or axis not in axes]
    gathered = index.permute(*kept, *axes, rank).reshape(*shape, count * index.shape[-1])
    return Elements(x.source, place, gathered, x.factor / count if mean else x.factor)


def activation(builder: Builder, x: Elements) -> Activation:
    """``x`` as a value of the graph, with a Flatten or a GlobalAveragePool if that is what its positions say.

    Raises:
        Unsupported: the graph has no operator for such a view.
    """
    if x.index is None:
        return x.source
    shape, sums = tuple(x.index.shape[1:-1]), x.index.shape[-1]
    source = builder.value(x.source).shape
    own = x.index[0].sort(-1).values if x.index.shape[0] == IMAGES else None
    if own is None or not torch.equal(x.index[1].sort(-1).values, own + prod(source)):
        raise Unsupported(
            f"a view or a sum{_written(x)} mixes the images of a batch: the first axis must stay the images"
        )
    if sums == 1:
        return _moved(builder, x, shape, source, own.flatten())
    channels = torch.arange(prod(source)).reshape(source[0], -1)
    if len(source) == 3 and shape in ((source[0],), (source[0], 1, 1)) and torch.equal(own.reshape(-1, sums), channels):
        pooled = builder.add(x.place.path, x.place.call, GlobalAveragePool(), x.source)
        if len(shape) == 1:
            pooled = builder.add(x.place.path, x.place.call, Flatten(channels_last=False), pooled)
        factor = x.factor * sums
        if factor == 1:
            return pooled
        return builder.add(x.place.path, x.place.call, Scale(torch.full((source[0],), factor).numpy()), pooled)
    raise Unsupported(
        f"a sum or mean{_written(x)} makes {_text(shape)} of {_text(source)}: only that of the whole image exists"
    )


def _moved(builder: Builder, x: Elements, shape: tuple[int, ...], source: tuple[int, ...], order: Tensor) -> Activation:
    """The source with its elements in ``order``, int64 [count], as ``shape``."""
    ordered = torch.arange(prod(source))
    if shape == source and torch.equal(order, ordered):
        return x.source
    if shape == (prod(source),) and len(source) == 3:
        if torch.equal(order, ordered):
            return builder.add(x.place.path, x.place.call, Flatten(channels_last=False), x.source)
        if torch.equal(order, ordered.reshape(source).permute(1, 2, 0).flatten()):
            return builder.add(x.place.path, x.place.call, Flatten(channels_last=True), x.source)
    if order.shape == ordered.shape and torch.equal(order, ordered):
        raise Unsupported(
            f"a reshape of {_text(source)} to {_text(shape)}: only flattening to one row of features exists"
        )
    raise Unsupported(
        f"a view{_written(x)} makes {_text(shape)} of {_text(source)} by leaving out, repeating or reordering values: "
        "let every layer read whole images in torch's order"
    )


def _written(x: Elements) -> str:
    return f" ({x.place.line})" if x.place.line else ""


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
