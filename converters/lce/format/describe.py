"""What a file's operators do not say: the graph's nodes and attributes, as JSON in the file's metadata.

Weights, thresholds and scales stay in the operators' own constants; here are only the bits that LCE's form loses.
"""

from __future__ import annotations

import json
from dataclasses import fields
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Op,
    Threshold,
)
from bnn_toolchain.converters.lce.format.limits import limits

KEY = "bnnt.graph"
FORMAT = 1


def describe(graph: Graph) -> dict[str, bytes]:
    """The metadata of a file that holds ``graph``."""
    nodes = [
        {"name": node.name, "inputs": node.inputs, "op": type(node.op).__name__, **attributes(node.op)}
        for node in graph.nodes
    ]
    text = {"format": FORMAT, "input": graph.spec.to_json(), "decided_by": graph.decided_by, "nodes": nodes}
    return {KEY: json.dumps(text, separators=(",", ":")).encode()}


def attributes(op: Op) -> dict[str, Any]:
    """Everything of ``op`` but its arrays; of a threshold the flips and the parities, a bit for each channel."""
    match op:
        case Threshold(_, flip):
            return {"flip": _hex(flip)}
        case BinaryConv2dThreshold(conv, threshold):
            return {"conv": attributes(conv), "threshold": _parities(threshold, taps(conv))}
        case BinaryConv2dMaxPoolThreshold(conv, pool, threshold):
            kept = {**_parities(unflipped(threshold), taps(conv)), "flip": _hex(threshold.flip)}
            return {"conv": attributes(conv), "pool": attributes(pool), "threshold": kept}
        case BinaryDenseThreshold(dense, threshold):
            return {"dense": attributes(dense), "threshold": _parities(threshold, taps(dense))}
    values = {field.name: getattr(op, field.name) for field in fields(op)}
    return {name: value for name, value in values.items() if isinstance(value, int | tuple)}


def taps(layer: BinaryConv2d | BinaryDense) -> int:
    """K: the products that one accumulator sums."""
    if isinstance(layer, BinaryDense):
        return layer.in_features
    return prod(layer.weight.shape[1:3]) * layer.in_channels


def unflipped(threshold: Threshold) -> Threshold:
    """The comparison without its flips: before pooling they must wait."""
    return Threshold(threshold.tau, np.zeros_like(threshold.flip))


def _parities(threshold: Threshold, count: int) -> dict[str, str]:
    return {"flip": _hex(threshold.flip), "odd": _hex(limits(threshold, count)[1])}


def _hex(bits: NDArray[np.bool_]) -> str:
    return np.packbits(bits, bitorder="little").tobytes().hex()
