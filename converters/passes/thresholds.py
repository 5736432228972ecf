"""Everything between an accumulator and a sign becomes one integer comparison, decided by torch itself.

Formulas for the threshold differ from torch's own batch norm on ties, so the threshold is found by bisection over the
integers on torch's eager evaluation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

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
from bnn_toolchain.converters.passes.edit import producers
from bnn_toolchain.errors import CheckFailed

PROBES = 16  # random accumulators a channel on which the found threshold is checked


def thresholds(graph: Graph) -> Graph:
    """Each Sign that an accumulator reaches through element-wise operators alone becomes a Threshold.

    Where bits come instead of an accumulator, the chain can only keep, negate or fix them: an exact Affine does that.

    Raises:
        CheckFailed: torch's evaluation is not monotone, or differs between positions of one channel.
    """
    by_name = producers(graph.nodes)
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _lower_sign(graph, by_name, node) if isinstance(node.op, Sign) else [node]
    decided = any(isinstance(node.op, Threshold) for node in nodes)
    decided_by = f"torch {torch.__version__}" if decided else graph.decided_by
    return Graph(graph.spec, live(nodes, graph.output), decided_by)


def _lower_sign(graph: Graph, by_name: dict[str, Node], sign: Node) -> list[Node]:
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
    low, high = (_decide(sign.name, chain, x, np.full(x.shape[0], bit)) for bit in (-1, 1))
    scale = np.where(low == high, 0, np.where(high, 1, -1)).astype(np.float32)
    offset = np.where(low != high, 0, np.where(high, 1, -1)).astype(np.float32)
    moved = Node(f"{sign.name}.kept", Affine(scale, offset), (source.name,))
    return [moved, replace(sign, inputs=(moved.name,))]


def bisect(name: str, chain: list[Op], x: Value) -> Threshold:
    """The threshold of ``chain`` followed by a sign, over every accumulator that ``x`` can hold.

    Raises:
        CheckFailed: as :func:`thresholds`.
    """
    channels = x.shape[0]
    first = np.full(channels, -x.bound, np.int64)
    last = np.full(channels, x.bound, np.int64)
    start, end = _decide(name, chain, x, first), _decide(name, chain, x, last)
    below, above = first, last  # the decision changes in (below, above]
    while np.any(above - below > 1):
        middle = (below + above) // 2
        same = _decide(name, chain, x, middle) == start
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    constant = start == end
    tau = np.where(constant, ALWAYS, above).astype(np.int32)
    threshold = Threshold(tau, np.where(constant, ~end, start))
    random = np.random.default_rng(0).integers(-x.bound, x.bound + 1, (PROBES, channels))
    for probe in (first, below, above, last, *random):
        if np.any(_decide(name, chain, x, probe) != ((probe >= threshold.tau) ^ threshold.flip)):
            raise CheckFailed(f"{name}: torch's evaluation before this sign is not monotone in the accumulator")
    return threshold


def _decide(name: str, chain: list[Op], x: Value, accumulators: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the sign is +1 for one accumulator a channel: bool [C]."""
    column = torch.from_numpy(accumulators.astype(np.float32)).reshape(1, -1, *[1] * (len(x.shape) - 1))
    value = column.expand(1, *x.shape).contiguous()
    for op in chain:
        value = _evaluate(op, value)
    decided = (value >= 0).reshape(x.shape[0], -1)
    if not torch.equal(decided, decided[:, :1].expand_as(decided)):
        raise CheckFailed(f"{name}: torch's evaluation before this sign differs between positions of one channel")
    return decided[:, 0].numpy()


def _evaluate(op: Op, x: torch.Tensor) -> torch.Tensor:
    match op:
        case BatchNorm():
            mean, var, gamma, beta = (torch.from_numpy(a) for a in (op.mean, op.var, op.gamma, op.beta))
            return functional.batch_norm(x, mean, var, gamma, beta, training=False, eps=op.eps)
        case Scale(scale):
            return x * _per_channel(scale, x)
        case Divide(divisor):
            return x / _per_channel(divisor, x)
        case Bias(bias):
            return x + _per_channel(bias, x)
        case Relu():
            return functional.relu(x)
        case Hardtanh():
            return functional.hardtanh(x)
        case _:
            raise AssertionError(op)


def _per_channel(array: NDArray[np.float32], x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(array).reshape(-1, *[1] * (x.ndim - 2))
