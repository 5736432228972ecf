"""The graph as a canonical ONNX file; ``OPERATORS.md`` has the form."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bnn_toolchain.converters.graph.forms import form_of, is_simple
from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
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
    Hardtanh,
    Kind,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Scale,
    Threshold,
    Value,
)
from bnn_toolchain.converters.graph.real_ops import FloatOp, OutputTransform
from bnn_toolchain.converters.graph.size import NODES
from bnn_toolchain.converters.model_file import write_model
from bnn_toolchain.converters.onnx.functions import DOMAIN, OPSET, VERSION, functions
from bnn_toolchain.errors import Unsupported

FORMAT = "1"
IR_VERSION = 8  # the first with model-local functions
NAME = 1000  # characters
SEPARATOR = "/"  # between a node's name and its initializer's: "features.0/weight"


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write ``graph`` to ``path``; a reader sees the old file or the new one, never a part.

    Raises:
        Unsupported: the graph is not lowered.
        UsageError: the file cannot be written.
    """
    write_model(path, to_bytes(graph))


def to_bytes(graph: Graph) -> bytes:
    """The file's content: the same graph gives the same bytes.

    Raises:
        Unsupported: the graph is not lowered, or a name holds the separator of initializers.
    """
    data: bytes = model_of(graph).SerializeToString(deterministic=True)
    return data


def model_of(graph: Graph) -> ModelProto:
    """The file's content as a message of protobuf.

    Raises:
        As :func:`to_bytes`.
    """
    if len(graph.nodes) > NODES:
        raise Unsupported(f"a graph of {len(graph.nodes)} operators: a file holds at most {NODES}")
    nodes, tensors, used = [], [], set()
    for node in graph.nodes:
        if SEPARATOR in node.name or not 0 < len(node.name) <= NAME:
            raise Unsupported(
                f"a node is called '{node.name[:80]}': names have 1 to {NAME} characters and hold no '{SEPARATOR}'"
            )
        proto, initializers = _write(node, graph.values[node.inputs[0]])
        nodes.append(proto)
        tensors += initializers
        if proto.domain == DOMAIN:
            used.add(proto.op_type)
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *graph.spec.shape])
    shape = graph.values[graph.output].shape
    output = helper.make_tensor_value_info(graph.output, TensorProto.FLOAT, ["N", *shape])
    model = helper.make_model(
        helper.make_graph(nodes, "bnnt", [pixels], [output], tensors),
        functions=functions(used),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, VERSION)],
        producer_name="bnnt",
        ir_version=IR_VERSION,
    )
    spec = json.dumps(graph.spec.to_json())
    helper.set_model_props(model, {"bnnt.format": FORMAT, "bnnt.input": spec, "bnnt.decided_by": graph.decided_by})
    return model


@dataclass(frozen=True)
class _Form:
    """How one operator stands in the file."""

    op_type: str
    domain: str
    arrays: dict[str, NDArray[np.generic]]
    attributes: dict[str, Any]  # int or a tuple of int


def _write(node: Node, x: Value) -> tuple[NodeProto, list[TensorProto]]:
    form = _form(node, x)
    tensors = [
        numpy_helper.from_array(np.asarray(array, order="C"), f"{node.name}{SEPARATOR}{key}")
        for key, array in form.arrays.items()
    ]
    inputs = [*node.inputs, *(tensor.name for tensor in tensors)]
    proto = helper.make_node(form.op_type, inputs, [node.name], node.name, domain=form.domain, **form.attributes)
    return proto, tensors


def _form(node: Node, x: Value) -> _Form:
    op, name = node.op, type(node.op).__name__
    if is_simple(op):
        form = form_of(op)
        arrays = {field: _per_channel(getattr(op, field), x) for field in form.arrays}
        return _Form(name, "" if form.standard else DOMAIN, arrays, {})
    if isinstance(op, FloatOp | OutputTransform):
        raise Unsupported(
            f"{node.name}: {name} came from a .tflite file and has no ONNX form: only the reference runs it"
        )
    match op:
        case PixelInput(offset):
            return _Form(name, DOMAIN, {}, {"offset": offset})
        case PixelNormalize(scale, offset):
            return _Form(name, DOMAIN, {"scale": scale, "offset": offset}, {})
        case Flatten(channels_last=True):
            return _Form(name, DOMAIN, {}, {})
        case BinaryConv2d(weight):
            return _Form(name, DOMAIN, {"weight": weight}, _conv(op))
        case BinaryDense(weight, in_features):
            return _Form(name, DOMAIN, {"weight": weight}, {"in_features": in_features})
        case Threshold():
            return _Form(name, DOMAIN, _threshold(op, x), {})
        case Affine(scale, offset):
            name = "AffineReal" if x.kind is Kind.REAL else "Affine"
            return _Form(name, DOMAIN, {"scale": _per_channel(scale, x), "offset": _per_channel(offset, x)}, {})
        case BinaryConv2dThreshold(conv, threshold):
            return _Form(name, DOMAIN, {"weight": conv.weight, **_threshold(threshold, x)}, _conv(conv))
        case BinaryConv2dMaxPoolThreshold(conv, pool, threshold):
            pooling = {"pool_kernel": pool.kernel, "pool_strides": pool.strides, "pool_pads": pool.pads}
            arrays = {"weight": conv.weight, **_threshold(threshold, x)}
            return _Form(name, DOMAIN, arrays, {**_conv(conv), **pooling})
        case BinaryDenseThreshold(dense, threshold):
            arrays = {"weight": dense.weight, **_threshold(threshold, x)}
            return _Form(name, DOMAIN, arrays, {"in_features": dense.in_features})
        case MaxPool(kernel, strides, pads):
            return _Form(name, "", {}, {"kernel_shape": kernel, "strides": strides, "pads": pads})
        case Conv(weight, bias, strides, dilations, pads, group):
            attributes = {"strides": strides, "dilations": dilations, "pads": pads, "group": group}
            return _Form(name, "", _weight_and_bias(weight, bias), attributes)
        case Gemm(weight, bias):
            return _Form(name, "", _weight_and_bias(weight, bias), {"transB": 1})
        case Hardtanh():
            return _Form("Clip", "", {"min": np.array(-1, np.float32), "max": np.array(1, np.float32)}, {})
        case Flatten() | BatchNorm() | Scale() | Divide() | Bias():
            raise Unsupported(f"{node.name}: {name} has no form in a file: lower the graph first")
        case _:
            assert_never(op)


def _conv(op: BinaryConv2d) -> dict[str, Any]:
    return {
        "in_channels": op.in_channels,
        "strides": op.strides,
        "dilations": op.dilations,
        "pads": op.pads,
        "pad_value": op.pad_value,
        "group": op.group,
    }


def _threshold(op: Threshold, x: Value) -> dict[str, NDArray[np.generic]]:
    return {"tau": _per_channel(op.tau, x), "flip": _per_channel(op.flip, x)}


def _per_channel(array: NDArray[np.generic], x: Value) -> NDArray[np.generic]:
    return array.reshape((-1,) + (1,) * (len(x.shape) - 1))


def _weight_and_bias(weight: NDArray[np.float32], bias: NDArray[np.float32] | None) -> dict[str, NDArray[np.generic]]:
    return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
