"""The graph as a canonical ONNX file, in both directions; ``OPERATORS.md`` has the form.

A file is read strictly: what was read is written again in memory, and a file whose graph or functions differ from
that is refused. So reading and writing again gives the same bytes, and no shape or body goes unchecked. Of functions
the words of earlier files are read too; they mean the same.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

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
    PixelInput,
    PixelNormalize,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
    Value,
)
from bnn_toolchain.converters.graph.size import NODES
from bnn_toolchain.converters.onnx.functions import DOMAIN, OPSET, VERSION, former, functions
from bnn_toolchain.converters.onnx.parts import FOREIGN, check_parts
from bnn_toolchain.converters.onnx.read import read_nodes
from bnn_toolchain.errors import FileFormatError, Unsupported, UsageError
from bnn_toolchain.files import read_json, write_atomically
from bnn_toolchain.input_spec import InputSpec

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
    data = to_bytes(graph)
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def load(path: str | os.PathLike[str]) -> Graph:
    """Read a file that :func:`save` wrote.

    Raises:
        UsageError: the file cannot be read.
        FileFormatError: it is truncated, corrupt, or not bnnt's.
        Unsupported: an operator gets what it does not take.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if not data:
        raise FileFormatError(f"{path} is empty: export or copy it again")
    try:
        return from_bytes(data)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except Unsupported as error:
        raise Unsupported(f"{path}: {error}") from error


def to_bytes(graph: Graph) -> bytes:
    """The file's content: the same graph gives the same bytes.

    Raises:
        Unsupported: the graph is not lowered, or a name holds the separator of initializers.
    """
    data: bytes = _model(graph).SerializeToString(deterministic=True)
    return data


def from_bytes(data: bytes) -> Graph:
    """The inverse of :func:`to_bytes`.

    Raises:
        FileFormatError: truncated, corrupt, or not bnnt's.
        Unsupported: an operator gets what it does not take.
    """
    check_parts(data)
    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise FileFormatError(FOREIGN) from error
    _check_text(model)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    found = properties.get("bnnt.format")
    if found is None:
        raise FileFormatError("an ONNX file, but not one that bnnt wrote: export the PyTorch model with bnnt")
    if found != FORMAT:
        raise FileFormatError(f"format {found!r} of bnnt; this version reads {FORMAT!r}: export the model again")
    graph = Graph(
        _read_spec(properties.get("bnnt.input", "")), read_nodes(model), properties.get("bnnt.decided_by", "")
    )
    canonical = _model(graph)
    if (model.ir_version, model.opset_import) != (canonical.ir_version, canonical.opset_import):
        raise FileFormatError("the ONNX version is not the one that bnnt writes")
    if model.functions != canonical.functions and list(model.functions) != [former(f) for f in canonical.functions]:
        raise FileFormatError("the bnnt functions in the file are not those of this format")
    if model.graph != canonical.graph:
        raise FileFormatError("the graph is not in the form that bnnt writes")
    return graph


def _check_text(model: ModelProto) -> None:
    """Names are short text; protobuf hands over a string that is not UTF-8 as bytes."""
    names = [entry.key for entry in model.metadata_props]
    names += [tensor.name for tensor in model.graph.initializer]
    for node in model.graph.node:
        names += [node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    if not all(isinstance(text, str) for text in (*names, *(entry.value for entry in model.metadata_props))):
        raise FileFormatError("a name in the file is not text: it is corrupt")
    longest = max(names, key=len, default="")
    if len(longest) > NAME:
        raise FileFormatError(f"a name in the file has {len(longest)} characters, more than {NAME}: it is corrupt")


def _read_spec(text: str) -> InputSpec:
    try:
        return InputSpec.from_json(read_json(text))
    except (ValueError, UsageError) as error:
        raise FileFormatError(f"the metadata 'bnnt.input' is damaged: {error}") from error


def _model(graph: Graph) -> ModelProto:
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
    match op:
        case PixelInput(offset):
            return _Form(name, DOMAIN, {}, {"offset": offset})
        case PixelNormalize(scale, offset):
            return _Form(name, DOMAIN, {"scale": scale, "offset": offset}, {})
        case Sign() | ToReal():
            return _Form(name, DOMAIN, {}, {})
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
        case Relu() | Add() | GlobalAveragePool():
            return _Form(name, "", {}, {})
        case Flatten() | BatchNorm() | Scale() | Divide() | Bias():
            raise Unsupported(f"{node.name}: {name} has no form in a file: lower the graph first")
        case _:
            raise Unsupported(
                f"{node.name}: {name} came from a .tflite file and has no ONNX form: only the reference runs it"
            )


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
