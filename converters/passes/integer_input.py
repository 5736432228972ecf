"""Pixels stay integers up to the first binary layers, if one positive scale and integer offset serve all channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    BinaryDense,
    Flatten,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Scale,
    ToReal,
)
from bnn_toolchain.converters.passes.edit import Missed, described


def integer_input(graph: Graph) -> Graph:
    """PixelNormalize becomes PixelInput; its scale moves behind every binary layer that reads it.

    Nothing changes when the normalisation differs between channels, or when a reader needs reals or pads with +1.
    Pooling, with a positive scale, and flattening may stand between.

    Raises:
        Unsupported: a layer whose accumulator would pass 2**24.
    """
    first = graph.nodes[0]
    if not isinstance(first.op, PixelNormalize) or _obstacle(graph):
        return graph
    layers = {node.name for node in _readers(graph) if not isinstance(node.op, MaxPool | Flatten)}
    scale = first.op.scale[0]
    nodes = [replace(first, op=PixelInput(int(graph.spec.offset[0])))]
    for node in graph.nodes[1:]:
        nodes += _scaled(node, scale) if node.name in layers else [node]
    return graph.replace(nodes)


def missed(graph: Graph) -> Iterator[Missed]:
    """Pixels that stayed reals."""
    first = graph.nodes[0]
    if isinstance(first.op, PixelNormalize):
        yield Missed(first.name, _obstacle(graph) or "its file holds the pixels as reals: export the trained module")


def _obstacle(graph: Graph) -> str:
    """Why pixels cannot be integers; empty if they can."""
    if not graph.spec.is_integer:
        return "per-channel normalisation: one positive scale and one integer offset for all channels stay integer"
    for node in (graph.nodes[0], *_readers(graph)):
        match node.op:
            case PixelNormalize() | MaxPool() | Flatten() if node.name == graph.output:
                return f"{described(node)} yields the pixels themselves"
            case PixelNormalize() | MaxPool() | Flatten() | BinaryDense() | BinaryConv2d(pad_value=0):
                continue
            case BinaryConv2d():
                return f"{described(node)} pads with 1: binary weights that pad with 0 stay integer"
            case _:
                return f"{described(node)} takes reals: a first layer of binary weights that pads with 0 stays integer"
    return ""


def _readers(graph: Graph) -> list[Node]:
    """The nodes that read the normalised pixels, also through pooling and flattening."""
    carriers, readers = {graph.nodes[0].name}, []
    for node in graph.nodes[1:]:
        if not carriers.isdisjoint(node.inputs):
            readers.append(node)
            if isinstance(node.op, MaxPool | Flatten):
                carriers.add(node.name)
    return readers


def _scaled(layer: Node, scale: np.float32) -> list[Node]:
    assert isinstance(layer.op, BinaryConv2d | BinaryDense)
    acc = replace(layer, name=f"{layer.name}.acc")
    real = Node(f"{layer.name}.real", ToReal(), (acc.name,))
    outputs = len(layer.op.weight)
    return [acc, real, Node(layer.name, Scale(np.full(outputs, scale, np.float32)), (real.name,))]
