"""A .tflite file as tensors and operators: what the writer makes and the readers take.

Only files of one subgraph exist here; that is what converters for inference write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from bnn_toolchain.converters.graph.size import NODES
from bnn_toolchain.converters.lce.format.flat import NUMBER, TABLE, FlatReader, write
from bnn_toolchain.converters.lce.format.flex import read_options, write_options
from bnn_toolchain.converters.lce.format.schema import OPTIONS, TABLES, VERSION
from bnn_toolchain.errors import FileFormatError, Unsupported

SIGNATURE = "serving_default"
MAX_RANK = 8
MOST_ELEMENTS = 2**31 - 1  # elements of a tensor: TensorFlow Lite counts in 32 bits

_NAMES = {code: name for name, code in vars(BuiltinOperator).items() if name.isupper()}
_TYPES = {code: name for name, code in vars(TensorType).items() if name.isupper()}
_DTYPES: dict[str, DTypeLike] = {
    "FLOAT32": "<f4",
    "INT32": "<i4",
    "UINT8": "u1",
    "INT64": "<i8",
    "INT8": "i1",
}


@dataclass(frozen=True, eq=False)
class Quantization:
    """real = scale * (stored - zero_point), of a whole tensor or, written alone, of each slice of its first axis."""

    scale: float
    zero_point: int
    slices: int = 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """One value: ``data`` holds it if it is a constant."""

    name: str
    type: str  # as TensorFlow Lite calls it: FLOAT32, INT32, …
    shape: tuple[int, ...]
    data: NDArray[Any] | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True, eq=False)
class Operator:
    """One step: ``code`` is a builtin's name or LCE's; an input of -1 is left out."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Container:
    """A whole file."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    metadata: dict[str, bytes]


def encode(container: Container) -> bytes:
    """The file; the same container gives the same bytes. Constants start at multiples of 16 bytes."""
    buffers: list[dict[str, Any]] = [{}]  # the first is the empty one, of every tensor that is not a constant

    def store(raw: NDArray[np.uint8]) -> int:
        buffers.append({"data": raw})
        return len(buffers) - 1

    def tensor(t: Tensor) -> dict[str, Any]:
        raw = None if t.data is None else np.frombuffer(np.ascontiguousarray(t.data).tobytes(), np.uint8)
        table = {"shape": t.shape, "type": getattr(TensorType, t.type), "name": t.name}
        if t.quantization:
            scale, zero_point = [t.quantization.scale], [t.quantization.zero_point]
            slices = t.quantization.slices
            table["quantization"] = {"scale": scale * slices, "zero_point": zero_point * slices}
        return table if raw is None else table | {"buffer": store(raw)}

    codes = list(dict.fromkeys(op.code for op in container.operators))
    tensors = [tensor(t) for t in container.tensors]
    metadata = [{"name": n, "buffer": store(np.frombuffer(d, np.uint8))} for n, d in container.metadata.items()]
    subgraph = {
        "tensors": tensors,
        "inputs": container.inputs,
        "outputs": container.outputs,
        "operators": [_write_operator(op, codes.index(op.code)) for op in container.operators],
        "name": "main",
    }
    return write(
        {
            "version": VERSION,
            "operator_codes": [_write_code(code) for code in codes],
            "subgraphs": [subgraph],
            "description": "bnnt",
            "buffers": buffers,
            "metadata": metadata,
            "signature_defs": [
                {
                    "inputs": [{"name": container.tensors[i].name, "tensor_index": i} for i in container.inputs],
                    "outputs": [{"name": container.tensors[i].name, "tensor_index": i} for i in container.outputs],
                    "signature_key": SIGNATURE,
                }
            ],
        }
    )


def _write_code(code: str) -> dict[str, Any]:
    builtin = getattr(BuiltinOperator, code, None)
    if builtin is None:
        custom = BuiltinOperator.CUSTOM
        return {"deprecated_builtin_code": custom, "custom_code": code, "builtin_code": custom}
    return {"deprecated_builtin_code": min(builtin, 127), "builtin_code": builtin}


def _write_operator(op: Operator, code: int) -> dict[str, Any]:
    table = {"opcode_index": code, "inputs": op.inputs, "outputs": op.outputs}
    if op.code in OPTIONS:
        kind = OPTIONS[op.code]
        return table | {
            "builtin_options_type": getattr(BuiltinOptions, kind),
            "builtin_options": (kind, op.options),
        }
    if op.options:
        return table | {"custom_options": np.frombuffer(write_options(op.options), np.uint8)}
    return table


def decode(data: bytes) -> Container:
    """The inverse of :func:`encode`, for files of any origin; constants are views of ``data``.

    Raises:
        FileFormatError: truncated or damaged.
        Unsupported: sparse or variable tensors, several subgraphs, too many operators, data outside the flatbuffer.
    """
    reader = FlatReader(data)
    model = reader.root()
    if model["version"] != VERSION:
        raise Unsupported(f"version {model['version']} of the TensorFlow Lite format: only {VERSION} is known")
    subgraphs = model["subgraphs"] or []
    if len(subgraphs) != 1:
        raise Unsupported(f"{len(subgraphs)} subgraphs: only models of one can be read")
    (subgraph,) = subgraphs
    buffers = [_buffer(table) for table in model["buffers"] or []]
    codes = [_read_code(table) for table in model["operator_codes"] or []]
    if len(subgraph["operators"] or ()) > NODES:
        raise Unsupported(f"{len(subgraph['operators'])} operators: models of at most {NODES} can be read")
    tensors = tuple(_read_tensor(reader, i, t, buffers) for i, t in enumerate(subgraph["tensors"] or []))
    operators = tuple(
        _read_operator(reader, i, table, codes, len(tensors)) for i, table in enumerate(subgraph["operators"] or [])
    )
    metadata = {
        table["name"]: _copied(reader, _at(buffers, table["buffer"], "metadata"))
        for table in model["metadata"] or []
        if table["name"]
    }
    ends = [_indices(reader, subgraph[key], len(tensors), f"the model's {key}", 0) for key in ("inputs", "outputs")]
    return Container(tensors, operators, ends[0], ends[1], metadata)


def _copied(reader: FlatReader, data: NDArray[np.uint8]) -> bytes:
    reader.charge(data.size)
    return data.tobytes()


def _buffer(table: dict[str, Any]) -> NDArray[np.uint8]:
    if table["offset"] > 1:
        raise Unsupported("a constant lies outside the flatbuffer: files above 2 GB cannot be read")
    data: NDArray[np.uint8] | None = table["data"]
    return np.zeros(0, np.uint8) if data is None else data


def _read_code(table: dict[str, Any]) -> str:
    builtin = max(table["deprecated_builtin_code"], table["builtin_code"])
    if builtin == BuiltinOperator.CUSTOM:
        return table["custom_code"] or "CUSTOM"
    name = _NAMES.get(builtin)
    if name is None:
        raise Unsupported(f"the builtin operator {builtin} is newer than this version of bnnt")
    return name


def _read_tensor(reader: FlatReader, index: int, table: dict[str, Any], buffers: list[NDArray[np.uint8]]) -> Tensor:
    name, kind = table["name"] or f"tensor {index}", _TYPES.get(table["type"])
    shape = () if table["shape"] is None else tuple(int(side) for side in table["shape"][: MAX_RANK + 1])
    if kind is None:
        raise FileFormatError(f"the tensor '{name}' has the unknown type {table['type']}")
    if table["is_variable"] or table["sparsity"] is not None:
        raise Unsupported(f"the tensor '{name}' is {'variable' if table['is_variable'] else 'sparse'}")
    if len(shape) > MAX_RANK or any(side < 0 for side in shape) or prod(shape) > MOST_ELEMENTS:
        raise FileFormatError(f"the tensor '{name}' has the shape {list(shape)}")
    raw = _at(buffers, table["buffer"], f"the tensor '{name}'")
    reader.charge(raw.size)  # tensors may share it, but what is made of them is each one's own
    data = None
    if table["buffer"] and raw.size and kind in _DTYPES:
        dtype = np.dtype(_DTYPES[kind])
        if raw.size != prod(shape) * dtype.itemsize:
            raise FileFormatError(f"the tensor '{name}' {list(shape)} of {kind} holds {raw.size} bytes")
        data = raw.view(dtype).reshape(shape)
    return Tensor(name, kind, shape, data, _read_quantization(name, table["quantization"]))


def _read_quantization(name: str, table: dict[str, Any] | None) -> Quantization | None:
    if table is None or table["scale"] is None or not len(table["scale"]):
        return None
    scales, zeros = table["scale"], table["zero_point"]
    if table["details_type"] or len(scales) > 1 or (zeros is not None and len(zeros) != 1):
        raise Unsupported(f"the tensor '{name}' is quantised per channel: convert the model without quantisation")
    return Quantization(float(scales[0]), 0 if zeros is None else int(zeros[0]))


def _read_operator(reader: FlatReader, index: int, table: dict[str, Any], codes: list[str], tensors: int) -> Operator:
    code = _at(codes, table["opcode_index"], f"operator {index}")
    inputs = _indices(reader, table["inputs"], tensors, f"operator {index} ({code})", -1)
    outputs = _indices(reader, table["outputs"], tensors, f"operator {index} ({code})", 0)
    options: dict[str, Any] = {}
    if code.startswith("Lce"):
        reader.charge(TABLE)
        options = dict(read_options(b"" if table["custom_options"] is None else table["custom_options"].tobytes()))
    elif code in OPTIONS:
        kind = OPTIONS[code]
        if table["builtin_options"] is None:
            options = {f.name: f.default for f in TABLES[kind]}
        elif table["builtin_options_type"] != getattr(BuiltinOptions, kind):
            raise FileFormatError(f"operator {index} ({code}) has the options of another operator")
        else:
            options = reader.table(kind, table["builtin_options"])
    return Operator(code, inputs, outputs, options)


def _indices(
    reader: FlatReader, values: NDArray[np.int32] | None, count: int, owner: str, lowest: int
) -> tuple[int, ...]:
    if values is None:
        return ()
    reader.charge(NUMBER * len(values))
    if np.any((values < lowest) | (values >= count)):
        raise FileFormatError(f"{owner} names a tensor that is not there: {values.max()} of {count}")
    return tuple(values.tolist())


def _at(values: list[Any], index: int, owner: str) -> Any:
    if index >= len(values):
        raise FileFormatError(f"{owner} points at part {index} of {len(values)}: the file is damaged")
    return values[index]
