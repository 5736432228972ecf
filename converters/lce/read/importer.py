"""Files of LCE's own converter, and stock float TensorFlow Lite, into the graph: one operator after the other.

A tensor [1, H, W, C] is a value (C, H, W), [1, F] and what a reshape made [1, 1, 1, F] a value (F,). What is not
supported is named with the operator's index and code.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.graph.ops import Hardtanh, PixelNormalize, PRelu, Relu, Sign, ToReal
from bnn_toolchain.converters.graph.real_ops import Clamp, Sigmoid, Softmax
from bnn_toolchain.converters.lce.format.container import Container, Operator
from bnn_toolchain.converters.lce.read.import_binary import binary_conv
from bnn_toolchain.converters.lce.read.import_float import (
    arithmetic,
    average_pool,
    concatenation,
    conv,
    dense,
    max_pool,
    mean,
    pad,
    reshape,
    split,
)
from bnn_toolchain.converters.lce.read.scope import Scope
from bnn_toolchain.errors import FileFormatError, Unsupported
from bnn_toolchain.input_spec import InputSpec

SHARING = 4  # bytes of constants that operators may read for each byte of the file
ROOM = 1 << 20


def import_graph(container: Container, file_bytes: int) -> tuple[Graph, dict[str, int]]:
    """The graph of a foreign file, and the tensor of each node that has one.

    A file has no preprocessing of its own where its input is float: then the network sees the pixels 0 to 255 as they
    are, until the caller gives the graph another input (:func:`with_input`).

    Raises:
        FileFormatError: the file contradicts itself.
        Unsupported: an operator, a type or a shape that the graph has no place for.
    """
    scope = Scope(container, SHARING * file_bytes + ROOM)
    for index, operator in enumerate(container.operators):
        _read(scope, index, operator)
    return scope.finish()


def with_input(graph: Graph, spec: InputSpec) -> Graph:
    """A foreign graph with the preprocessing and the class names that the file does not hold.

    Raises:
        Unsupported: another size than the model's.
    """
    if spec.shape != graph.spec.shape:
        raise Unsupported(f"the model takes images {list(graph.spec.shape)}, not {list(spec.shape)} (H, W, C)")
    first, *others = graph.nodes
    scale, offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)
    return Graph(spec, (replace(first, op=PixelNormalize(scale, offset)), *others), graph.decided_by)


def _read(scope: Scope, index: int, operator: Operator) -> None:
    scope.where = f"operator {index} ({operator.code})"
    if not operator.outputs or not operator.inputs:
        raise FileFormatError(f"{scope.where} has no input or no output")
    for output in operator.outputs:
        scope.batch(scope.tensors[output])
        if output in scope.at:
            raise FileFormatError(f"{scope.where} yields a tensor that another operator yields")
    options, out = operator.options, operator.outputs[0]
    match operator.code:
        case "LceQuantize":
            scope.add(out, Sign(), scope.real(operator, 0))
        case "LceDequantize":
            x = scope.value(operator, 0)
            if scope.tensors[out].shape[-1:] != x.shape[:1] or scope.tensors[out].type != "FLOAT32":
                raise Unsupported(f"{scope.where}: it yields {scope.tensors[out].type} of other channels than it reads")
            scope.add(out, ToReal(), x.name)
        case "LceBconv2d":
            binary_conv(scope, operator, options, out)
        case "LceBMaxPool2d":
            max_pool(scope, operator, ("stride_height", "stride_width"))
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            conv(scope, operator, depthwise=operator.code == "DEPTHWISE_CONV_2D")
        case "FULLY_CONNECTED":
            dense(scope, operator)
        case "MAX_POOL_2D":
            max_pool(scope, operator, ("stride_h", "stride_w"))
        case "AVERAGE_POOL_2D":
            average_pool(scope, operator)
        case "MEAN":
            mean(scope, operator)
        case "ADD" | "SUB" | "MUL":
            arithmetic(scope, operator)
        case "RELU":
            scope.add(out, Relu(), scope.real(operator, 0))
        case "RELU_N1_TO_1":
            scope.add(out, Hardtanh(), scope.real(operator, 0))
        case "RELU6":
            scope.add(out, Clamp(0, 6), scope.real(operator, 0))
        case "LOGISTIC":
            scope.add(out, Sigmoid(), scope.real(operator, 0))
        case "PRELU":
            x = scope.values[scope.real(operator, 0)]
            scope.add(out, PRelu(scope.per_channel(operator, 1, x.shape[0])), x.name)
        case "SOFTMAX":
            scope.add(out, Softmax(float(options["beta"])), scope.real(operator, 0))
        case "CONCATENATION":
            concatenation(scope, operator)
        case "SPLIT":
            split(scope, operator)
        case "PAD" | "PADV2":
            pad(scope, operator)
        case "RESHAPE":
            reshape(scope, operator)
        case "DEQUANTIZE" if operator.inputs[0] == scope.pixels:
            scope.at[out] = scope.at[scope.pixels]
        case _:
            raise Unsupported(f"{scope.where}: bnnt does not read this operator")
