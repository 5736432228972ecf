"""Lowering: the captured graph becomes the integer graph that files hold. The list is read top to bottom."""

from __future__ import annotations

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.passes import (
    affine,
    early_pool,
    early_sign,
    flatten,
    fuse,
    integer_input,
    thresholds,
)
from bnn_toolchain.converters.passes.edit import Missed

PASSES = (
    integer_input.integer_input,  # pixels as integers where the normalisation allows it
    early_sign.early_sign,  # signs before pooling and flattening, next to the batch norm that they end
    early_pool.early_pool,  # pooling before what commutes with it, next to the convolution
    thresholds.thresholds,  # accumulator … sign becomes one integer comparison
    affine.affine,  # what is left of batch norms, scales and biases
    flatten.flatten,  # channels last, as packed activations lie in memory
    fuse.fuse,  # one node for each kernel launch
)


def missed(graph: Graph) -> tuple[Missed, ...]:
    """What the passes left in a lowered ``graph`` that a network written otherwise would not have, and why."""
    steps = (integer_input, early_pool, thresholds, fuse)
    return tuple(miss for step in steps for miss in step.missed(graph))


def lower(graph: Graph) -> Graph:
    """The integer graph of a captured one: files, engines and the reference interpreter take it.

    Raises:
        Unsupported: an accumulator that a float32 cannot hold, or a flattening that cannot be made channels-last.
        CheckFailed: a batch norm that torch does not evaluate monotonically.
    """
    for step in PASSES:
        graph = step(graph)
    return graph
