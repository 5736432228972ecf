"""Batch norms, scales and biases that no threshold took become one Affine for each chain of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph, Node, live
from bnn_toolchain.converters.graph.ops import Affine, BatchNorm, Bias, Divide, Kind, Op, Scale, ToReal
from bnn_toolchain.converters.passes.edit import producers


def affine(graph: Graph) -> Graph:
    """Each chain is folded in float64 and rounded to float32 once; it reads the accumulator itself if there is one."""
    by_name = producers(graph.nodes)
    inner = {
        node.inputs[0]
        for node in graph.nodes
        if isinstance(node.op, BatchNorm | Bias | Divide | Scale) and graph.uses[node.inputs[0]] == 1
    }
    nodes = []
    for node in graph.nodes:
        if not isinstance(node.op, BatchNorm | Bias | Divide | Scale):
            nodes.append(node)
        elif node.name not in inner:
            nodes.append(_fold(graph, by_name, node, inner))
    return graph.replace(live(nodes, graph.output))


def _fold(graph: Graph, by_name: dict[str, Node], end: Node, inner: set[str]) -> Node:
    scale, offset = _linear(end.op)
    source = by_name[end.inputs[0]]
    while source.name in inner and isinstance(source.op, BatchNorm | Bias | Divide | Scale):
        first_scale, first_offset = _linear(source.op)
        scale, offset = first_scale * scale, first_offset * scale + offset
        source = by_name[source.inputs[0]]
    reads_integers = isinstance(source.op, ToReal) and graph.values[source.inputs[0]].kind is Kind.ACC
    name = source.inputs[0] if reads_integers else source.name
    return replace(end, op=Affine(scale.astype(np.float32), offset.astype(np.float32)), inputs=(name,))


def _linear(op: Op) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    match op:
        case BatchNorm():
            scale = op.gamma / np.sqrt(op.var.astype(np.float64) + op.eps)
            return scale, op.beta - op.mean * scale
        case Scale(scale):
            return scale.astype(np.float64), np.zeros(len(scale))
        case Divide(divisor):
            return 1 / divisor.astype(np.float64), np.zeros(len(divisor))
        case Bias(bias):
            return np.ones(len(bias)), bias.astype(np.float64)
        case _:
            raise AssertionError(op)
