"""ATen operators that move elements and change none: each is applied to positions, whatever it is called."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from bnn_toolchain.converters.capture.aten_layers import Layers
from bnn_toolchain.converters.capture.values import BatchSize, Constant, Elements, Traced, positions
from bnn_toolchain.errors import Unsupported

MOVES = frozenset({
    "alias", "as_strided", "atleast_2d", "atleast_3d", "cat", "channel_shuffle", "chunk", "clone", "column_stack",
    "concat", "concatenate", "contiguous", "detach", "diagonal", "dstack", "expand", "expand_as", "flatten", "flip",
    "fliplr", "flipud", "hstack", "index", "index_select", "lift_fresh", "lift_fresh_copy", "movedim", "moveaxis",
    "narrow", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat", "reshape", "reshape_as", "resolve_conj",
    "resolve_neg", "roll", "rot90", "select", "slice", "split", "split_with_sizes", "squeeze", "stack", "swapaxes",
    "swapdims", "t", "tensor_split", "tile", "transpose", "unbind", "unflatten", "unfold", "unsqueeze",
    "upsample_nearest2d", "view", "view_as", "vstack", "_unsafe_view", "_reshape_alias",
})  # fmt: skip


REPLACEMENTS = frozenset({"copy", "select_scatter", "slice_scatter"})
"""An assignment to a view: the value with some of its elements, or all, taken from another one."""


def moved(layers: Layers, node: Node, traced: dict[Node, Traced]) -> Traced:
    """What ``node`` makes of the one value of the image that it reads.

    Raises:
        Unsupported: it joins several values, or reads their bytes as another type.
    """
    sources = [x for value in node.all_input_nodes if isinstance(x := traced[value], Elements)]
    if len(sources) != 1 or str(node.target) == "aten.view.dtype":
        raise Unsupported(f"{node.name} of several values of the image: join them by addition")
    x = sources[0]
    index = positions(layers.builder, x)
    places = torch.arange(index[..., 0].numel(), dtype=torch.float64).reshape(index.shape[:-1])

    def value(argument: Node) -> Any:
        match traced[argument]:
            case Elements():
                return places
            case Constant(value=found) | BatchSize(value=found):
                return found
            case _:
                raise Unsupported("a padded or compared value in another place than in front of what takes it")

    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), value)
    assert callable(node.target)
    result = node.target(*args, **kwargs)

    if isinstance(result, tuple | list):
        return tuple(_gathered(layers, x, part) for part in result)
    return _gathered(layers, x, result)


def replaced(layers: Layers, node: Node, traced: dict[Node, Traced]) -> Traced:
    """What an assignment to a view leaves, if it replaces every element.

    Raises:
        Unsupported: it leaves some as they were, or assigns constants.
    """
    before, new = node.all_input_nodes[0], node.all_input_nodes[-1]
    x = traced[new]
    if not isinstance(x, Elements):
        raise Unsupported("an assignment of constants to a part of a value: compute a new value for all of it")
    old = torch.full(_sides(layers, traced[before]), -1.0, dtype=torch.float64)
    sides = positions(layers.builder, x).shape[:-1]
    places = torch.arange(sides.numel(), dtype=torch.float64).reshape(sides)
    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda argument: places if argument is new else old)
    assert callable(node.target)
    result = node.target(*args, **kwargs)
    if torch.any(result < 0):
        raise Unsupported("an assignment to a part of a value: compute a new value for all of it")
    return _gathered(layers, x, result)


def _sides(layers: Layers, x: Traced) -> torch.Size:
    match x:
        case Elements():
            return positions(layers.builder, x).shape[:-1]
        case Constant(value=value):
            return value.shape
        case _:
            raise Unsupported("an assignment to a padded or compared value: compute a new value")


def _gathered(layers: Layers, x: Elements, places: torch.Tensor) -> Elements:
    """The elements of ``x`` at ``places``, float64 indices into what torch sees, in their shape."""
    index = positions(layers.builder, x)
    flat = index.reshape(-1, index.shape[-1])
    return Elements(x.source, layers.place, flat[places.to(torch.int64)], x.factor)
