"""Integer thresholds in place of LCE's float arithmetic between a binary layer and the next sign, where they are equal.

LCE's converter leaves the batch norm behind a pooling, and all that follows zero padding, in float. Between an
accumulator and a sign such a chain has finitely many inputs for each channel: all of them are tried, with the
reference's own operators, and where they switch once, the chain is that threshold. Where zero padding is corrected,
each kind of place at the border must have the same. So no bit changes, and the layer runs where integer layers run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.float_ops import BorderCorrection, Clamp, OutputTransform, PRelu, border
from bnn_toolchain.converters.graph import Graph, Node
from bnn_toolchain.converters.ops import (
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
    Relu,
    Sign,
    Threshold,
    pack_bits,
    unpack_bits,
)
from bnn_toolchain.converters.reference import run_op

Reals = NDArray[np.float32]
ELEMENTWISE = (Affine, Relu, Hardtanh, Clamp, PRelu)
LARGEST = 1 << 23  # values tried at a time: all accumulators of all channels
PLACES = 1024  # kinds of places in an image that differ in what lies outside: those of a window of 16x16
IMAGE = ":image"  # the suffix of bits whose flattening the file holds


def integers(graph: Graph) -> Graph:
    """The same bits, with as few real values between them as can be."""
    by_name = {node.name: node for node in graph.nodes}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _decided(graph, by_name, node) or [node]
    needed = {graph.output}
    kept = []
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return graph.replace(reversed(kept))


def _decided(graph: Graph, by_name: dict[str, Node], sign: Node) -> list[Node]:
    """What stands for ``sign`` and all before it back to the binary layer; nothing if there is no such thing."""
    if not isinstance(sign.op, Sign):
        return []
    chain: list[Op] = []  # from the layer to the sign
    name = sign.inputs[0]
    while name in by_name and graph.uses[name] == 1:
        node = by_name[name]
        chain.insert(0, node.op)
        name = node.inputs[0]
        if isinstance(node.op, BinaryConv2d | BinaryDense):
            return _threshold(sign, chain, name)
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
    if not _takes(steps) or len(layer.weight) * (2 * first.taps + 1) > LARGEST or (flat and len(layer.weight) % 8):
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        found = _switch(layer, steps)
    if found is None:
        return []
    name = f"{sign.name}{IMAGE}" if flat else sign.name
    nodes = [Node(name, _fused(found[0], pool, found[1]), (source,))]
    return [*nodes, Node(sign.name, Flatten(), (name,))] if flat else nodes


def _takes(chain: Chain) -> bool:
    """Whether every operator is elementwise and monotone."""
    before = all(isinstance(op, (OutputTransform, BorderCorrection, *ELEMENTWISE)) for op in chain.before)
    after = all(isinstance(op, ELEMENTWISE) for op in chain.after)
    bends = any(isinstance(op, PRelu) and np.any(op.slope < 0) for op in (*chain.before, *chain.after))
    window = 1 if chain.correction is None else max(chain.correction.sums.shape[1:])
    return before and after and not bends and window**2 <= PLACES


def _fused(layer: BinaryConv2d | BinaryDense, pool: Op | None, threshold: Threshold) -> Op:
    if isinstance(layer, BinaryDense):
        return BinaryDenseThreshold(layer, threshold)
    if isinstance(pool, MaxPool):
        return BinaryConv2dMaxPoolThreshold(layer, pool, threshold)
    return BinaryConv2dThreshold(layer, threshold)


def _switch(layer: BinaryConv2d | BinaryDense, chain: Chain) -> tuple[BinaryConv2d | BinaryDense, Threshold] | None:
    """The layer and the threshold that yield the same bits, if every place of the image has the same."""
    taps = chain.taps
    acc = np.broadcast_to(np.arange(-taps, taps + 1, dtype=np.float32)[:, None], (2 * taps + 1, len(layer.weight)))
    nowhere = np.zeros((1, acc.shape[1]), np.float32)
    falls: NDArray[np.bool_] = np.zeros(acc.shape[1], np.bool_)
    if chain.pooled:  # a maximum of reals is one of accumulators, or of negated ones
        rises = np.diff(chain.real(acc, nowhere), axis=0)
        falls = np.asarray((rises < 0).any(axis=0))
        if np.any(falls & (rises > 0).any(axis=0)):
            return None
    negated = np.where(falls, -acc, acc)
    threshold = _step(chain.bits(negated, nowhere), -taps)  # in the middle of the image
    if threshold is None:
        return None
    if chain.correction:
        changes = places(chain.correction)
        if len(changes) > PLACES or not all(_holds(chain, threshold, falls, change) for change in changes):
            return None
    if isinstance(layer, BinaryConv2d) and chain.correction:
        layer = replace(layer, pad_value=0)
    if falls.any():
        inputs = layer.in_channels if isinstance(layer, BinaryConv2d) else layer.in_features
        signs = unpack_bits(layer.weight, inputs)
        layer = replace(layer, weight=pack_bits(np.where(falls.reshape(-1, *(1,) * (signs.ndim - 1)), -signs, signs)))
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
        """What reaches the pooling where zero padding changes the accumulator by ``change`` (C,)."""
        values = acc - change
        for op in self.before:
            values = values + op.multiplier * change if isinstance(op, BorderCorrection) else run_op(op, values)
        return values

    def bits(self, acc: Reals, change: Reals) -> NDArray[np.bool_]:
        """Whether the sign is +1."""
        values = self.real(acc, change)
        for op in self.after:
            values = run_op(op, values)
        return values >= 0


def _holds(chain: Chain, threshold: Threshold, falls: NDArray[np.bool_], change: Reals) -> bool:
    """Whether the threshold is right where zero padding changes the accumulator by ``change`` (C,).

    Every operator is monotone, so it is enough to look at both sides of the switch; LCE's own accumulator, padded with
    +1, is this one less the change, and there are only so many of them.
    """
    turned = np.where(falls, -change, change)
    low, high = np.maximum(turned, 0) - chain.taps, np.minimum(turned, 0) + chain.taps
    constant = threshold.tau == ALWAYS
    for acc in (np.where(constant, low, threshold.tau - 1.0), np.where(constant, high, threshold.tau)):
        acc = acc.clip(low, high).astype(np.float32)
        expected = (acc >= threshold.tau) ^ threshold.flip
        if not np.array_equal(chain.bits(np.where(falls, -acc, acc)[None], change)[0], expected):
            return False
    return True


def places(op: BorderCorrection) -> Reals:
    """What zero padding changes, for every kind of place in the image: (places, C)."""
    # Beyond twice the window an image only repeats its inner places.
    spans = [(k - 1) * d + 1 for k, d in zip(op.sums.shape[1:], op.dilations, strict=True)]
    inner = [2 * (span + stride) for span, stride in zip(spans, op.strides, strict=True)]
    height, width = (min(side, i + (side - i) % s) for side, i, s in zip(op.size, inner, op.strides, strict=True))
    changes = border(op.sums, (height, width), op.strides, op.dilations, op.pads)
    distinct: Reals = np.unique(changes.reshape(-1, changes.shape[-1]), axis=0)
    return distinct


def _step(bits: NDArray[np.bool_], lowest: int) -> Threshold | None:
    """The threshold of bits [accumulators, C], if each channel switches once at most."""
    flip = bits[0]
    switched = bits != flip
    if np.any(switched[1:] < switched[:-1]):
        return None
    constant = ~switched[-1]
    tau = np.where(constant, ALWAYS, lowest + switched.argmax(axis=0)).astype(np.int32)
    return Threshold(tau, np.where(constant, ~flip, flip))
