"""Pixels stay integers up to the first binary layers, if one positive scale and integer offset serve all channels."""

from __future__ import annotations

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


def integer_input(graph: Graph) -> Graph:
    """PixelNormalize becomes PixelInput; its scale moves behind every binary layer that reads it.

    Nothing changes when the normalisation differs between channels, or when a reader needs reals or pads with +1.
    Pooling, with a positive scale, and flattening may stand between.

    Raises:
        Unsupported: a layer whose accumulator would pass 2**24.
    """
    first = graph.nodes[0]
    if not isinstance(first.op, PixelNormalize) or not graph.spec.is_integer:
        return graph
    carriers, layers = {first.name}, set[str]()
    for node in graph.nodes[1:]:
        if carriers.isdisjoint(node.inputs):
            continue
        match node.op:
            case MaxPool() | Flatten():
                carriers.add(node.name)
            case BinaryDense() | BinaryConv2d(pad_value=0):
                layers.add(node.name)
            case _:
                return graph
    if graph.output in carriers:
        return graph
    scale = first.op.scale[0]
    nodes = [replace(first, op=PixelInput(int(graph.spec.offset[0])))]
    for node in graph.nodes[1:]:
        nodes += _scaled(node, scale) if node.name in layers else [node]
    return graph.replace(nodes)


def _scaled(layer: Node, scale: np.float32) -> list[Node]:
    assert isinstance(layer.op, BinaryConv2d | BinaryDense)
    acc = replace(layer, name=f"{layer.name}.acc")
    real = Node(f"{layer.name}.real", ToReal(), (acc.name,))
    outputs = len(layer.op.weight)
    return [acc, real, Node(layer.name, Scale(np.full(outputs, scale, np.float32)), (real.name,))]
