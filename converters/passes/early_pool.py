"""Pooling moves before element-wise operators that never decrease, so that it meets the convolution's integers."""

from __future__ import annotations

from collections.abc import Iterator

from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.ops import Kind, MaxPool
from bnn_toolchain.converters.graph.traits import is_elementwise, never_decreases
from bnn_toolchain.converters.passes.edit import Missed, described, producers, swapped


def early_pool(graph: Graph) -> Graph:
    """MaxPool(f(x)) becomes f(MaxPool(x)) for a conversion, a positive scale or divisor, a bias, a ReLU, a hardtanh.

    Exact: rounding never reverses an order, so the maximum of the images is the image of the maximum. A batch norm
    stays: its scale may be negative.
    """
    while True:
        by_name = producers(graph.nodes)
        for pool in graph.nodes:
            upper = by_name.get(pool.inputs[0])
            if isinstance(pool.op, MaxPool) and upper is not None and not _obstacle(graph, upper):
                graph = swapped(graph, upper, pool, "early")
                break
        else:
            return graph


def missed(graph: Graph) -> Iterator[Missed]:
    """Pooling of reals that could be one of integers if it stood elsewhere."""
    by_name = producers(graph.nodes)
    for pool in graph.nodes:
        upper = by_name.get(pool.inputs[0])
        if not isinstance(pool.op, MaxPool) or graph.values[pool.name].kind is not Kind.REAL or upper is None:
            continue
        if is_elementwise(upper.op) and len(upper.inputs) == 1 and (obstacle := _obstacle(graph, upper)):
            yield Missed(pool.name, f"pools reals, since {obstacle}: pool right after the layer")


def _obstacle(graph: Graph, upper: Node) -> str:
    """Why pooling cannot move before ``upper``, which it reads; empty if it can."""
    if not never_decreases(upper.op):
        return f"{described(upper)} in front of it may reverse the order"
    if graph.uses[upper.name] > 1:
        return f"others read {described(upper)} in front of it too"
    return ""
