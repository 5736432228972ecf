"""Pooling moves before element-wise operators that never decrease, so that it meets the convolution's integers."""

from __future__ import annotations

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.graph.ops import MaxPool
from bnn_toolchain.converters.graph.traits import never_decreases
from bnn_toolchain.converters.passes.edit import producers, swapped


def early_pool(graph: Graph) -> Graph:
    """MaxPool(f(x)) becomes f(MaxPool(x)) for a conversion, a positive scale or divisor, a bias, a ReLU, a hardtanh.

    Exact: rounding never reverses an order, so the maximum of the images is the image of the maximum. A batch norm
    stays: its scale may be negative.
    """
    while True:
        by_name = producers(graph.nodes)
        for pool in graph.nodes:
            upper = by_name.get(pool.inputs[0])
            if (
                isinstance(pool.op, MaxPool)
                and upper is not None
                and never_decreases(upper.op)
                and graph.uses[upper.name] == 1
            ):
                graph = swapped(graph, upper, pool, "early")
                break
        else:
            return graph
