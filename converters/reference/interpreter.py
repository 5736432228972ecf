"""The meaning of a lowered graph in plain numpy: what every engine is compared with.

Integers are exact whatever the order of a sum, because every partial sum fits a float32; so integer layers are
matrix products. Sums of reals are taken in the order that ``OPERATORS.md`` fixes, one rounding after the other.
Values are float32, NHWC or [N, F].
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BatchNorm,
    Bias,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Conv,
    Divide,
    Flatten,
    Gemm,
    GlobalAveragePool,
    Hardtanh,
    Kind,
    MaxPool,
    Op,
    PixelInput,
    PixelNormalize,
    PRelu,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
    pack_bits,
    unpack_bits,
)
from bnn_toolchain.converters.graph.real_ops import OutputTransform, run_float
from bnn_toolchain.converters.graph.traits import parts
from bnn_toolchain.converters.reference.sums import Reals, average, binary_conv, max_pool, real_conv, real_dense
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import check_images

CHUNK_ELEMENTS = 1 << 22  # of the largest value that is alive at a time


def run(graph: Graph, images: NDArray[np.uint8]) -> Reals:
    """The model's output for uint8 ``images`` [N, H, W, C]: float32 [N, F], or [N, C, H, W].

    Raises:
        UsageError: images of another type or size.
        Unsupported: the graph holds a batch norm: lower it first.
    """
    return run_hidden(graph, images, ())[0]


def run_hidden(
    graph: Graph, images: NDArray[np.uint8], names: tuple[str, ...] | None = None
) -> tuple[Reals, dict[str, NDArray[np.uint8]]]:
    """The output and the binary activations ``names`` (all of them if not given), packed along the channels.

    A value (C, H, W) becomes uint8 [N, H, W, ceil(C/8)], a value (F,) becomes [N, ceil(F/8)]: little-endian,
    1 means -1, tail bits 0.

    Raises:
        As :func:`run`.
    """
    check_images(images, graph.spec)
    wanted = graph.hidden_bits() if names is None else names
    largest = max(prod(value.shape) for value in graph.values.values())
    step = max(1, CHUNK_ELEMENTS // largest)
    outputs: list[Reals] = []
    hidden: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in wanted}

    def keep(name: str, value: Reals) -> Reals:
        if name in hidden:
            hidden[name].append(pack_bits(value))
        return value

    for start in range(0, max(1, len(images)), step):
        outputs.append(follow(graph, images[start : start + step], keep))
    output = np.concatenate(outputs).astype(np.float32, copy=False)
    packed = {name: np.concatenate(chunks) for name, chunks in hidden.items()}
    return (output.transpose(0, 3, 1, 2) if output.ndim == 4 else output), packed


def follow(graph: Graph, images: NDArray[np.uint8], visit: Callable[[str, Reals], Reals]) -> Reals:
    """The output for a batch of ``images`` [N, H, W, C], each value passed through ``visit`` on the way.

    ``visit`` gets the name and the value, float32 [N, H, W, C] or [N, F]; what it returns is what later nodes read.
    """
    values: dict[str, NDArray[Any]] = {INPUT: images}
    left = graph.uses.copy()
    for node in graph.nodes:
        values[node.name] = visit(node.name, _run_node(graph, node, [values[name] for name in node.inputs]))
        for name in node.inputs:
            left[name] -= 1
            if not left[name]:
                del values[name]
    output: Reals = values[graph.output]
    return output


def run_op(op: Op, x: Reals) -> Reals:
    """One operator, as :func:`run` runs it, on integers or reals whose last axis holds the channels."""
    return _run(type(op).__name__, op, [x], integer=True)


def _run_node(graph: Graph, node: Node, inputs: list[NDArray[Any]]) -> Reals:
    integer = graph.values[node.inputs[0]].kind is not Kind.REAL
    with np.errstate(over="ignore", invalid="ignore"):
        return _run(node.name, node.op, inputs, integer)


def _run(name: str, op: Op, inputs: list[NDArray[Any]], integer: bool) -> Reals:
    x: Reals = inputs[0]
    match op:
        case PixelInput(offset):
            return x.astype(np.float32) - np.float32(offset)
        case PixelNormalize(scale, offset):
            return (x.astype(np.float32) - offset) * scale
        case Sign():
            return np.where(x >= 0, np.float32(1), np.float32(-1))
        case ToReal():
            return x
        case BinaryConv2d():
            return binary_conv(op, x, integer)
        case BinaryDense(weight, in_features):
            signs = unpack_bits(weight, in_features).astype(np.float32)
            return x @ signs.T if integer else real_dense(x, signs, None)
        case MaxPool():
            return max_pool(op, x)
        case Flatten(channels_last):
            ordered = x if channels_last else x.transpose(0, 3, 1, 2)
            return ordered.reshape(len(x), prod(x.shape[1:]))
        case Threshold(tau, flip):
            return np.where((x >= tau.astype(np.float32)) ^ flip, np.float32(1), np.float32(-1))
        case Affine(scale, offset):
            return x * scale + offset
        case Scale(scale):
            return x * scale
        case Divide(divisor):
            return x / divisor
        case Bias(bias):
            return x + bias
        case Relu():
            return np.maximum(x, np.float32(0))
        case PRelu(slope):
            return np.where(x >= 0, x, x * slope)
        case Hardtanh():
            return np.clip(x, np.float32(-1), np.float32(1))
        case Conv(weight, bias):
            return real_conv(op, x, weight.transpose(0, 2, 3, 1), bias)
        case Gemm(weight, bias):
            return real_dense(x, weight, bias)
        case Add():
            y: Reals = inputs[1]
            return x + y
        case GlobalAveragePool():
            return average(x)
        case BinaryConv2dThreshold() | BinaryConv2dMaxPoolThreshold() | BinaryDenseThreshold():
            for part in parts(op):
                x = _run(name, part, [x], integer=True)
            return x
        case OutputTransform(taps, low, high, multiplier, bias):
            mismatches: Reals = np.clip(np.float32(taps) - x, np.float32(low), np.float32(high))
            return mismatches * multiplier + bias
        case BatchNorm():
            raise Unsupported(f"{name}: torch alone knows how its batch norm rounds: lower the graph first")
        case _:
            return run_float(op, inputs)  # which takes what is left of the union, or mypy objects
