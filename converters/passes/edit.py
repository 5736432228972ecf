"""What passes share: finding producers and dropping what nobody reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bnn_toolchain.converters.graph.graph import Graph, Node


def producers(nodes: Iterable[Node]) -> dict[str, Node]:
    """Each value's node."""
    return {node.name: node for node in nodes}


def live(nodes: Iterable[Node], output: str) -> tuple[Node, ...]:
    """The nodes that ``output`` depends on, in order."""
    needed, kept = {output}, []
    for node in reversed(list(nodes)):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def swapped(graph: Graph, upper: Node, lower: Node, suffix: str) -> Graph:
    """The graph with ``lower`` before ``upper``, the one value that it reads.

    The pair's result keeps its name, since its value is unchanged; the value between them gets a new one.
    """
    between = replace(lower, name=f"{lower.name}.{suffix}", inputs=upper.inputs)
    after = replace(upper, name=lower.name, inputs=(between.name,))
    nodes = []
    for node in graph.nodes:
        if node is lower:
            nodes += [between, after]
        elif node is not upper:
            nodes.append(node)
    return graph.replace(nodes)
