"""A sign behind real pooling or flattening moves before it: the same bits, and fewer of them to move."""

from __future__ import annotations

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.graph.ops import Flatten, Kind, MaxPool, Sign
from bnn_toolchain.converters.passes.edit import producers, swapped


def early_sign(graph: Graph) -> Graph:
    """Sign(MaxPool(x)) becomes MaxPool(Sign(x)), since a sign never decreases; Sign(Flatten(x)) likewise."""
    while True:
        by_name = producers(graph.nodes)
        for sign in graph.nodes:
            upper = by_name.get(sign.inputs[0])
            if (
                isinstance(sign.op, Sign)
                and upper is not None
                and isinstance(upper.op, MaxPool | Flatten)
                and graph.values[upper.name].kind is Kind.REAL
                and graph.uses[upper.name] == 1
            ):
                graph = swapped(graph, upper, sign, "early")
                break
        else:
            return graph
