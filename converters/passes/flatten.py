"""Flattening becomes channels-last, as packed activations lie in memory; what stands behind it is permuted once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Add,
    BinaryDense,
    Flatten,
    Gemm,
    Op,
    pack_bits,
    unpack_bits,
)
from bnn_toolchain.converters.graph.traits import is_elementwise, with_channel_arrays
from bnn_toolchain.errors import Unsupported


def flatten(graph: Graph) -> Graph:
    """Every Flatten in torch's C, H, W order becomes H, W, C; features and dense weights behind it follow.

    Raises:
        Unsupported: an operator behind the flattening that cannot be permuted, or the model's output is flattened.
    """
    orders: dict[str, NDArray[np.intp]] = {}  # value -> which torch feature stands at each place
    nodes = []
    for node in graph.nodes:
        order = orders.get(node.inputs[0])
        if isinstance(node.op, Flatten) and not node.op.channels_last:
            channels, height, width = graph.values[node.inputs[0]].shape
            order = np.arange(channels * height * width).reshape(channels, height, width).transpose(1, 2, 0).ravel()
            node = replace(node, op=Flatten())
            if min(channels, height * width) > 1:
                orders[node.name] = order
        elif order is not None or any(name in orders for name in node.inputs):
            node = replace(node, op=_permuted(node, orders))
            if order is not None and not isinstance(node.op, BinaryDense | Gemm):
                orders[node.name] = order
        nodes.append(node)
    if graph.output in orders:
        raise Unsupported(f"{graph.output}: the model's output is a flattened image: end with a dense layer")
    return graph.replace(nodes)


def _permuted(node: Node, orders: dict[str, NDArray[np.intp]]) -> Op:
    order = orders.get(node.inputs[0])
    match node.op:
        case BinaryDense(weight, in_features):
            return BinaryDense(pack_bits(unpack_bits(weight, in_features)[:, order]), in_features)
        case Gemm(weight, bias):
            return Gemm(np.ascontiguousarray(weight[:, order]), bias)
        case op if is_elementwise(op) and len(node.inputs) == 1:
            return with_channel_arrays(op, lambda array: array[order])
        case Add() if order is not None and all(np.array_equal(order, orders.get(n, ())) for n in node.inputs):
            return node.op
        case _:
            raise Unsupported(
                f"{node.name}: {type(node.op).__name__} behind a flattening cannot be put channels-last: "
                "let a dense layer read the flattened image"
            )
