"""Lowering: the captured graph becomes the integer graph that files hold. The list is read top to bottom."""

from __future__ import annotations

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.passes.affine import affine
from bnn_toolchain.converters.passes.early_pool import early_pool
from bnn_toolchain.converters.passes.early_sign import early_sign
from bnn_toolchain.converters.passes.flatten import flatten
from bnn_toolchain.converters.passes.fuse import fuse
from bnn_toolchain.converters.passes.integer_input import integer_input
from bnn_toolchain.converters.passes.thresholds import thresholds

PASSES = (
    integer_input,  # pixels as integers where the normalisation allows it
    early_sign,  # signs before pooling and flattening, next to the batch norm that they end
    early_pool,  # pooling before what commutes with it, next to the convolution
    thresholds,  # accumulator … sign becomes one integer comparison
    affine,  # what is left of batch norms, scales and biases
    flatten,  # channels last, as packed activations lie in memory
    fuse,  # one node for each kernel launch
)


def lower(graph: Graph) -> Graph:
    """The integer graph of a captured one: files, engines and the reference interpreter take it.

    Raises:
        Unsupported: an accumulator that a float32 cannot hold, or a flattening that cannot be made channels-last.
        CheckFailed: a batch norm that torch does not evaluate monotonically.
    """
    for step in PASSES:
        graph = step(graph)
    return graph
