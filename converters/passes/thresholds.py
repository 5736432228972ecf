"""Everything between an accumulator and a sign becomes one integer comparison, decided by torch itself.

Formulas for the threshold differ from torch's own batch norm on ties, so the threshold is found by bisection over the
integers on torch's eager evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bnn_toolchain.converters.graph.graph import Graph, Node, live
from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
    Affine,
    BatchNorm,
    Bias,
    Divide,
    Hardtanh,
    Kind,
    Op,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
    Value,
)
from bnn_toolchain.converters.passes.edit import Missed, described, producers
from bnn_toolchain.errors import CheckFailed

PROBES = 16  # random accumulators a channel on which the found threshold is checked


def thresholds(graph: Graph) -> Graph:
    """Each Sign that an accumulator reaches through element-wise operators alone becomes a Threshold.

    Where bits come instead of an accumulator, the chain can only keep, negate or fix them: an exact Affine does that.

    Raises:
        CheckFailed: torch's evaluation is not monotone, or differs between positions of one channel.
    """
    from bnn_toolchain.converters.passes.decide import DECIDED_BY  # torch: not for the reasons alone

    by_name = producers(graph.nodes)
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _lower_sign(graph, by_name, node) if isinstance(node.op, Sign) else [node]
    decided = any(isinstance(node.op, Threshold) for node in nodes)
    return Graph(graph.spec, live(nodes, graph.output), DECIDED_BY if decided else graph.decided_by)


def missed(graph: Graph) -> Iterator[Missed]:
    """Signs of a lowered graph that stayed signs of reals."""
    by_name = producers(graph.nodes)
    for sign in graph.nodes:
        if isinstance(sign.op, Sign):
            source = by_name[sign.inputs[0]]
            while isinstance(source.op, Affine | Relu | Hardtanh) and source.inputs[0] in by_name:
                source = by_name[source.inputs[0]]
            yield Missed(
                sign.name, f"a sign of reals and no threshold of integers, since {described(source)} yields reals"
            )


def _lower_sign(graph: Graph, by_name: dict[str, Node], sign: Node) -> list[Node]:
    from bnn_toolchain.converters.passes.decide import decide

    chain: list[Op] = []
    source = by_name[sign.inputs[0]]
    while isinstance(source.op, Scale | Divide | Bias | BatchNorm | Relu | Hardtanh):
        chain.insert(0, source.op)
        source = by_name[source.inputs[0]]
    if not isinstance(source.op, ToReal):
        return [sign]
    x = graph.values[source.inputs[0]]
    if x.kind is Kind.ACC:
        return [replace(sign, op=bisect(sign.name, chain, x), inputs=(x.name,))]
    low, high = (decide(sign.name, chain, x, np.full(x.shape[0], bit)) for bit in (-1, 1))
    scale = np.where(low == high, 0, np.where(high, 1, -1)).astype(np.float32)
    offset = np.where(low != high, 0, np.where(high, 1, -1)).astype(np.float32)
    moved = Node(f"{sign.name}.kept", Affine(scale, offset), (source.name,))
    return [moved, replace(sign, inputs=(moved.name,))]


def bisect(name: str, chain: list[Op], x: Value) -> Threshold:
    """The threshold of ``chain`` followed by a sign, over every accumulator that ``x`` can hold.

    Raises:
        CheckFailed: as :func:`thresholds`.
    """
    from bnn_toolchain.converters.passes.decide import decide

    channels = x.shape[0]
    first = np.full(channels, -x.bound, np.int64)
    last = np.full(channels, x.bound, np.int64)
    start, end = decide(name, chain, x, first), decide(name, chain, x, last)
    below, above = first, last  # the decision changes in (below, above]
    while np.any(above - below > 1):
        middle = (below + above) // 2
        same = decide(name, chain, x, middle) == start
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    constant = start == end
    tau = np.where(constant, ALWAYS, above).astype(np.int32)
    threshold = Threshold(tau, np.where(constant, ~end, start))
    random = np.random.default_rng(0).integers(-x.bound, x.bound + 1, (PROBES, channels))
    for probe in (first, below, above, last, *random):
        if np.any(decide(name, chain, x, probe) != ((probe >= threshold.tau) ^ threshold.flip)):
            raise CheckFailed(f"{name}: torch's evaluation before this sign is not monotone in the accumulator")
    return threshold
