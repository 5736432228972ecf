"""What passes share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bnn_toolchain.converters.graph.graph import Graph, Node


@dataclass(frozen=True)
class Missed:
    """A node that a pass left as it was, though it is one of those that the pass is for, and why."""

    node: str
    reason: str


def described(node: Node) -> str:
    """A node in a reason."""
    return f"{type(node.op).__name__} '{node.name}'"


def producers(nodes: Iterable[Node]) -> dict[str, Node]:
    """Each value's node."""
    return {node.name: node for node in nodes}


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
