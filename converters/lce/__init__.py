"""The graph as a .tflite file of Larq Compute Engine (LCE), in both directions, without TensorFlow.

A file that bnnt wrote is read strictly, as the ONNX form is: what was read is written again in memory and must be
the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.lce.format.container import decode, encode
from bnn_toolchain.converters.lce.format.describe import KEY, describe
from bnn_toolchain.converters.lce.read.importer import import_graph, with_input
from bnn_toolchain.converters.lce.read.integers import IMAGE, integers
from bnn_toolchain.converters.lce.read.restore import restore
from bnn_toolchain.converters.lce.write.emitter import Construction
from bnn_toolchain.converters.lce.write.graph import write_graph
from bnn_toolchain.converters.model_file import read_model, write_model
from bnn_toolchain.errors import FileFormatError

__all__ = [
    "Construction",
    "Model",
    "constructions",
    "from_bytes",
    "load",
    "read",
    "save",
    "to_bytes",
    "with_input",
]


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write ``graph`` to ``path``; a reader sees the old file or the new one, never a part.

    Raises:
        Unsupported: the graph is not lowered, or LCE cannot express it.
        UsageError: the file cannot be written.
    """
    write_model(path, to_bytes(graph))


def load(path: str | os.PathLike[str]) -> Graph:
    """Read a file that :func:`save` or LCE's own converter wrote.

    Raises:
        UsageError: the file cannot be read.
        FileFormatError: it is truncated or corrupt.
        Unsupported: an operator that the graph has no place for; the message names it.
    """
    return read_model(path, from_bytes)


def to_bytes(graph: Graph) -> bytes:
    """The file's content: the same graph gives the same bytes.

    Raises:
        Unsupported: the graph is not lowered, or LCE cannot express it: the message says which node and why.
    """
    container, _ = write_graph(graph, describe(graph))
    return encode(container)


def constructions(graph: Graph) -> tuple[Construction, ...]:
    """The nodes that LCE has no operator for, and what stands for each in the file.

    Raises:
        Unsupported: as :func:`to_bytes`.
    """
    _, stand_ins = write_graph(graph, {})
    return stand_ins


def from_bytes(data: bytes) -> Graph:
    """The inverse of :func:`to_bytes`; files of LCE's own converter are read too.

    Those hold no preprocessing: their graph sees the pixels 0 to 255 as they are until :func:`with_input` says better.

    Raises:
        FileFormatError: truncated or corrupt.
        Unsupported: an operator that the graph has no place for.
    """
    return read(data).graph


@dataclass(frozen=True)
class Model:
    """What a file holds: the graph, and where the file has the values that are tensors of it too."""

    graph: Graph
    tensors: dict[str, int]  # the index of a node's tensor by the node's name
    outputs: tuple[int, ...]
    reads_floats: bool  # the file leaves the preprocessing to its caller


def read(data: bytes) -> Model:
    """As :func:`from_bytes`, with the way back to the file's tensors.

    Raises:
        As :func:`from_bytes`.
    """
    container = decode(data)
    if KEY not in container.metadata:
        graph, tensors = import_graph(container, len(data))
        graph = integers(graph)
        tensors |= {f"{name}{IMAGE}": index for name, index in tensors.items() if f"{name}{IMAGE}" in graph.values}
        return Model(graph, tensors, container.outputs, container.tensors[container.inputs[0]].type == "FLOAT32")
    graph = restore(container)
    rewritten, _ = write_graph(graph, describe(graph), borders=len(data))
    if encode(rewritten) != data:
        raise FileFormatError("the operators are not those that bnnt writes for this graph: the file was changed")
    return Model(graph, {t.name: index for index, t in enumerate(container.tensors)}, container.outputs, False)
