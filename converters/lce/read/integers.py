"""Integer thresholds in place of LCE's float arithmetic between a binary layer and the next sign, where they are equal.

LCE's converter leaves the batch norm behind a pooling, and all that follows zero padding, in float. Between an
accumulator and a sign every operator of such a chain is monotone, rounding included, so the sign switches once at most:
where it does is found by bisection, with the reference's own operators. Where zero padding is corrected, each kind of
place at the border must switch there too. So no bit changes, and the layer runs where integer layers run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph, Node, live
from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
    Affine,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Flatten,
    Hardtanh,
    MaxPool,
    Op,
    PRelu,
    Relu,
    Sign,
    Threshold,
    negated,
)
from bnn_toolchain.converters.graph.real_ops import (
    BorderCorrection,
    Clamp,
    OutputTransform,
    outside,
    tap_totals,
    taps_inside,
)
from bnn_toolchain.converters.graph.traits import never_decreases
from bnn_toolchain.converters.reference import run_op

Reals = NDArray[np.float32]
ELEMENTWISE = (Affine, Relu, Hardtanh, Clamp, PRelu)
LONGEST = 8  # operators of a chain; LCE's converter makes 4
WINDOW = 7  # the largest side of a window with corrected padding
AT_A_TIME = 1 << 16  # values of all kinds of places
IMAGE = ":image"  # the suffix of bits whose flattening the file holds


def integers(graph: Graph) -> Graph:
    """The same bits, with as few real values between them as can be."""
    by_name = {node.name: node for node in graph.nodes}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _decided(graph, by_name, node) or [node]
    return graph.replace(live(nodes, graph.output))


def _decided(graph: Graph, by_name: dict[str, Node], sign: Node) -> list[Node]:
    """What stands for ``sign`` and all before it back to the binary layer; nothing if there is no such thing."""
    if not isinstance(sign.op, Sign):
        return []
    chain: list[Op] = []  # from the sign to the layer
    name = sign.inputs[0]
    while name in by_name and graph.uses[name] == 1 and len(chain) <= LONGEST:
        node = by_name[name]
        chain.append(node.op)
        name = node.inputs[0]
        if isinstance(node.op, BinaryConv2d | BinaryDense):
            return _threshold(sign, chain[::-1], name)
        if not isinstance(node.op, (*ELEMENTWISE, Flatten, MaxPool, BorderCorrection, OutputTransform)):
            return []
    return []


def _threshold(sign: Node, chain: list[Op], source: str) -> list[Node]:
    match chain:
        case [BinaryConv2d() | BinaryDense() as layer, OutputTransform() as first, *rest]:
            flat = bool(rest) and isinstance(rest[-1], Flatten)
            rest = rest[:-1] if flat else rest
            at = next((i for i, op in enumerate(rest) if isinstance(op, MaxPool)), len(rest))
            pool = rest[at] if at < len(rest) else None
            steps = Chain((first, *rest[:at]), tuple(rest[at + 1 :]), pool is not None)
        case _:
            return []
    if not _takes(steps) or (flat and len(layer.weight) % 8):
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        switch = _switch(layer, steps)
    if switch is None:
        return []
    name = f"{sign.name}{IMAGE}" if flat else sign.name
    nodes = [Node(name, _fused(switch[0], pool, switch[1]), (source,))]
    return [*nodes, Node(sign.name, Flatten(), (name,))] if flat else nodes


def _takes(chain: Chain) -> bool:
    """Whether every operator is elementwise and monotone."""
    before = all(isinstance(op, (OutputTransform, BorderCorrection, *ELEMENTWISE)) for op in chain.before)
    after = all(isinstance(op, ELEMENTWISE) for op in chain.after)
    bends = any(isinstance(op, PRelu) and not never_decreases(op) for op in (*chain.before, *chain.after))
    window = 1 if chain.correction is None else max(chain.correction.sums.shape[1:])
    return before and after and not bends and window <= WINDOW


def _fused(layer: BinaryConv2d | BinaryDense, pool: Op | None, threshold: Threshold) -> Op:
    if isinstance(layer, BinaryDense):
        return BinaryDenseThreshold(layer, threshold)
    if isinstance(pool, MaxPool):
        return BinaryConv2dMaxPoolThreshold(layer, pool, threshold)
    return BinaryConv2dThreshold(layer, threshold)


def _switch(layer: BinaryConv2d | BinaryDense, chain: Chain) -> tuple[BinaryConv2d | BinaryDense, Threshold] | None:
    """The layer and the threshold that yield the same bits, if every place of the image has the same."""
    nowhere = np.zeros((1, len(layer.weight)), np.float32)
    low, high = (np.full_like(nowhere, end) for end in (-chain.taps, chain.taps))
    if not (chain.is_finite(low, nowhere) and chain.is_finite(high, nowhere)):
        return None  # beyond the largest float an operator is not monotone
    falls: NDArray[np.bool_] = np.zeros(nowhere.shape[1], np.bool_)
    if chain.pooled:  # a maximum of reals is one of accumulators, or of negated ones
        falls = (chain.real(high, nowhere) < chain.real(low, nowhere))[0]
    threshold = _step(lambda acc: chain.bits(np.where(falls, -acc, acc)[None], nowhere)[0], chain.taps, len(falls))
    if chain.correction and not all(_holds(chain, threshold, falls, changes) for changes in places(chain.correction)):
        return None
    if isinstance(layer, BinaryConv2d) and chain.correction:
        layer = replace(layer, pad_value=0)
    if falls.any():
        inputs = layer.in_channels if isinstance(layer, BinaryConv2d) else layer.in_features
        layer = replace(layer, weight=negated(layer.weight, inputs, falls))
    return layer, threshold


@dataclass(frozen=True)
class Chain:
    """The operators between accumulators and the sign, as functions of accumulators [N, C]."""

    before: tuple[Op, ...]  # the pooling; the first is the OutputTransform
    after: tuple[Op, ...]
    pooled: bool

    @property
    def taps(self) -> int:
        first = self.before[0]
        return first.taps if isinstance(first, OutputTransform) else 0

    @property
    def correction(self) -> BorderCorrection | None:
        return next((op for op in self.before if isinstance(op, BorderCorrection)), None)

    def real(self, acc: Reals, change: Reals) -> Reals:
        """What reaches the pooling where zero padding changes the accumulator by ``change`` [N, C]."""
        values = acc - change
        for op in self.before:
            values = _apply(op, values, change)
        return values

    def bits(self, acc: Reals, change: Reals) -> NDArray[np.bool_]:
        """Whether the sign is +1."""
        values = self.real(acc, change)
        for op in self.after:
            values = _apply(op, values, change)
        return values >= 0

    def is_finite(self, acc: Reals, change: Reals) -> bool:
        """Whether every value on the way is a finite number."""
        values = acc - change
        for op in (*self.before, *self.after):
            values = _apply(op, values, change)
            if not np.isfinite(values).all():
                return False
        return True


def _apply(op: Op, values: Reals, change: Reals) -> Reals:
    return values + op.multiplier * change if isinstance(op, BorderCorrection) else run_op(op, values)


def _holds(chain: Chain, threshold: Threshold, falls: NDArray[np.bool_], changes: Reals) -> bool:
    """Whether the threshold is right where zero padding changes the accumulator by one of ``changes`` (N, C).

    Every operator is monotone, so it is enough to look at both sides of the switch; LCE's own accumulator, padded with
    +1, is this one less the change, and there are only so many of them.
    """
    turned = np.where(falls, -changes, changes)
    low, high = np.maximum(turned, 0) - chain.taps, np.minimum(turned, 0) + chain.taps
    constant = threshold.tau == ALWAYS
    for acc in (np.where(constant, low, threshold.tau - 1.0), np.where(constant, high, threshold.tau)):
        acc = acc.clip(low, high).astype(np.float32)
        expected = (acc >= threshold.tau) ^ threshold.flip
        if not np.array_equal(chain.bits(np.where(falls, -acc, acc), changes), expected):
            return False
    return True


def places(op: BorderCorrection) -> Iterator[Reals]:
    """What zero padding changes, for every kind of place in the image: some places (N, C) at a time."""
    rows, columns = (_kinds(op, axis) for axis in (0, 1))
    totals = tap_totals(op.sums)
    channels = totals.shape[2]
    step = max(1, AT_A_TIME // (len(columns) * channels))
    for first in range(0, len(rows), step):
        yield outside(totals, rows[first : first + step], columns).reshape(-1, channels)


def _kinds(op: BorderCorrection, axis: int) -> NDArray[np.int64]:
    """The different taps inside, along one axis: (N, 2). They change only where a tap enters the image or leaves it."""
    size, stride, dilation, pad = op.size[axis], op.strides[axis], op.dilations[axis], op.pads[axis]
    shifts = np.arange(op.sums.shape[1 + axis]) * dilation - pad
    outputs = (size + pad + op.pads[axis + 2] - shifts[-1] - pad - 1) // stride + 1
    marks = np.concatenate([[0], -(shifts // stride), -((shifts - size) // stride)])
    marks = marks[(marks >= 0) & (marks < outputs)]
    return np.unique(taps_inside(marks, len(shifts), size, stride, dilation, pad), axis=0)


def _step(bits: Callable[[Reals], NDArray[np.bool_]], taps: int, channels: int) -> Threshold:
    """The threshold of ``bits``, which switches once at most between -taps and taps in each channel."""
    below, above = (np.full(channels, end, np.int64) for end in (-taps, taps))
    flip = bits(below.astype(np.float32))
    constant = bits(above.astype(np.float32)) == flip
    for _ in range((2 * taps).bit_length()):
        middle = (below + above) // 2
        same = bits(middle.astype(np.float32)) == flip
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    return Threshold(np.where(constant, ALWAYS, above).astype(np.int32), np.where(constant, ~flip, flip))
