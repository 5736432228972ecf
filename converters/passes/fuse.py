"""A binary layer and the threshold that alone reads it become one node: one kernel launch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bnn_toolchain.converters.graph.graph import Graph, Node, live
from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    MaxPool,
    Threshold,
)
from bnn_toolchain.converters.passes.edit import Missed, producers


def fuse(graph: Graph) -> Graph:
    """The fused node keeps the threshold's name, which is the name of its bits."""
    by_name = producers(graph.nodes)
    nodes = [_fuse(graph, by_name, node) for node in graph.nodes]
    return graph.replace(live(nodes, graph.output))


def missed(graph: Graph) -> Iterator[Missed]:
    """Thresholds that stayed apart from the layer in front of them."""
    by_name = producers(graph.nodes)
    for node in graph.nodes:
        if isinstance(node.op, Threshold) and _fuse(graph, by_name, node) is node:
            others = [reader.name for reader in graph.nodes if node.inputs[0] in reader.inputs and reader is not node]
            why = f"'{others[0]}' reads its sums too" if others else "no layer with binary weights alone yields them"
            yield Missed(node.name, f"a threshold of its own, since {why}")


def _fuse(graph: Graph, by_name: dict[str, Node], node: Node) -> Node:
    if not isinstance(node.op, Threshold) or graph.uses[node.inputs[0]] != 1:
        return node
    source = by_name[node.inputs[0]]
    match source.op:
        case BinaryConv2d() as conv:
            return replace(node, op=BinaryConv2dThreshold(conv, node.op), inputs=source.inputs)
        case BinaryDense() as dense:
            return replace(node, op=BinaryDenseThreshold(dense, node.op), inputs=source.inputs)
        case MaxPool() as pool if graph.uses[source.inputs[0]] == 1:
            layer = by_name[source.inputs[0]]
            if isinstance(layer.op, BinaryConv2d):
                return replace(node, op=BinaryConv2dMaxPoolThreshold(layer.op, pool, node.op), inputs=layer.inputs)
    return node
