"""A canonical ONNX file as a graph.

A file is read strictly: what was read is written again in memory, and a file whose graph or functions differ from
that is refused. So reading and writing again gives the same bytes, and no shape or body goes unchecked. Of functions
the words of earlier files are read too; they mean the same.
"""

from __future__ import annotations

import os

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.model_file import read_model
from bnn_toolchain.converters.onnx.functions import former
from bnn_toolchain.converters.onnx.nodes import read_nodes
from bnn_toolchain.converters.onnx.parts import FOREIGN, check_parts
from bnn_toolchain.converters.onnx.write import FORMAT, NAME, model_of
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.files import read_json
from bnn_toolchain.input_spec import InputSpec


def load(path: str | os.PathLike[str]) -> Graph:
    """Read a file that :func:`bnn_toolchain.converters.onnx.write.save` wrote.

    Raises:
        UsageError: the file cannot be read.
        FileFormatError: it is truncated, corrupt, or not bnnt's.
        Unsupported: an operator gets what it does not take.
    """
    return read_model(path, from_bytes)


def from_bytes(data: bytes) -> Graph:
    """The inverse of :func:`bnn_toolchain.converters.onnx.write.to_bytes`.

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
    version = properties.get("bnnt.format")
    if version is None:
        raise FileFormatError("an ONNX file, but not one that bnnt wrote: export the PyTorch model with bnnt")
    if version != FORMAT:
        raise FileFormatError(f"format {version!r} of bnnt; this version reads {FORMAT!r}: export the model again")
    graph = Graph(
        _read_spec(properties.get("bnnt.input", "")), read_nodes(model), properties.get("bnnt.decided_by", "")
    )
    canonical = model_of(graph)
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
