"""Bits that an engine with its own order of sums may get wrong: where what stands in front is next to the switch."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import reference
from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Flatten,
    MaxPool,
    Op,
    Sign,
    Threshold,
    ToReal,
)
from bnn_toolchain.converters.graph.traits import parts
from bnn_toolchain.runtime.engines.contract import Contract


def near_ties(
    graph: Graph, name: str, shown: Collection[str], images: NDArray[np.uint8], contract: Contract
) -> NDArray[np.bool_] | None:
    """Which bits of the activation ``name`` may differ under ``contract``: bool [N, H, W, C] or [N, F]; None: none.

    Of the activations that are ``shown``, none in front of it differs.
    """
    nodes = {node.name: node for node in graph.nodes}
    node, moves = nodes[name], []
    while isinstance(node.op, MaxPool | Flatten):  # of the bits of a sign: what it makes of the sign's real switches it
        if node.inputs[0] in shown:
            return None
        moves.append(node)
        node = nodes[node.inputs[0]]
    if isinstance(node.op, Sign):
        x = _value(graph, node, [move.op for move in reversed(moves)], images)
        largest = np.abs(x).max(axis=tuple(range(1, x.ndim)), keepdims=True)
        near: NDArray[np.bool_] = np.abs(x) <= contract.reals * largest
        return near
    *steps, threshold = parts(node.op)
    if not isinstance(threshold, Threshold) or moves or name not in contract.rounded:
        return None
    above = _value(graph, node, [*steps, ToReal()], images).astype(np.int64) - threshold.tau
    return np.isin(above, (0, -1))


def _value(graph: Graph, node: Node, steps: list[Op], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What ``steps`` make of the value that ``node`` reads, channels last."""
    names = [earlier.name for earlier in graph.nodes]
    nodes = list(graph.nodes[: names.index(node.inputs[0]) + 1])
    for number, op in enumerate(steps):
        nodes.append(Node(f"in front of {node.name}: {number}", op, (nodes[-1].name,)))
    value = reference.run(graph.replace(nodes), images)
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
