"""Flatbuffers driven by the schema: tables ⇄ plain dicts.

Reading trusts nothing: every offset is checked before it is followed, and what is made of the file is counted, so that
one whose parts point at each other a million times ends in an error after time and memory in proportion to its size.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

from bnn_toolchain.converters.lce.format.schema import IDENTIFIER, TABLES, Field
from bnn_toolchain.errors import FileFormatError

FORMATS = {"u8": "<B", "i8": "<b", "bool": "<?", "i32": "<i", "u32": "<I", "i64": "<q", "u64": "<Q", "f32": "<f"}
BUILDER: Any = vars(flatbuffers)["Builder"]  # untyped, and not exported explicitly
SHARING = 8  # bytes that may be made of each byte of the file; files of TensorFlow share a few small parts
ROOM = 1 << 20  # bytes that may be made of any file
TABLE = 512  # bytes that a table takes as a dict; files have one for each 80 bytes or more
TEXT = 4096  # bytes of a name; those of operators that TensorFlow fused are joined
NUMBER = 32  # bytes that a number takes as an object of its own


def size_of(kind: str) -> int:
    """Bytes of a number."""
    return struct.calcsize(FORMATS[kind])


class FlatReader:
    """Tables out of untrusted bytes."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 8 or data[4:8] != IDENTIFIER:
            raise FileFormatError("not a TensorFlow Lite file")
        self.data = data
        self.left = SHARING * len(data) + ROOM

    def root(self) -> dict[str, Any]:
        """The whole model; see :meth:`table`."""
        return self.table("Model", self.number("u32", 0))

    def table(self, name: str, position: int) -> dict[str, Any]:
        """Every field that the schema names: absent numbers are their defaults, other absent fields None.

        A vector of numbers is a numpy array over the file, a union stays the position of its table.

        Raises:
            FileFormatError: an offset or a length that leaves the file, or parts shared beyond reason.
        """
        places = zip(TABLES[name], self.places(name, position), strict=True)
        return {f.name: absent(f) if place is None else self.field(f, place) for f, place in places if f.type}

    def places(self, name: str, position: int) -> list[int | None]:
        """Where each field of a table is; None where the table leaves it out."""
        self.charge(TABLE)
        vtable = position - int(self.number("i32", position))
        length = int(self.number("u16", vtable))
        self.span(vtable, length)
        self.span(position, int(self.number("u16", vtable + 2)))
        entries = range(4, 4 + 2 * len(TABLES[name]), 2)
        offsets = [int(self.number("u16", vtable + entry)) if entry + 2 <= length else 0 for entry in entries]
        return [position + offset if offset else None for offset in offsets]

    def field(self, field: Field, position: int) -> Any:
        kind = field.type
        if kind in FORMATS:
            return self.number(kind, position)
        target = position + self.number("u32", position)
        if kind == "union":
            return target
        if kind == "str":
            return self.text(target)
        if kind.startswith("["):
            return self.vector(kind[1:-1].partition("@")[0], target)
        return self.table(kind, target)

    def vector(self, kind: str, position: int) -> Any:
        count = self.number("u32", position)
        width = size_of(kind) if kind in FORMATS else 4
        self.span(position + 4, count * width)
        if kind in FORMATS:
            return np.frombuffer(self.data, np.dtype(FORMATS[kind]), count, position + 4)
        places = range(position + 4, position + 4 + 4 * count, 4)
        return [self.table(kind, place + self.number("u32", place)) for place in places]

    def text(self, position: int) -> str:
        length = self.number("u32", position)
        self.span(position + 4, length)
        if length > TEXT:
            raise FileFormatError(f"a name of {length} bytes, more than {TEXT}: the file is damaged")
        try:
            return self.data[position + 4 : position + 4 + length].decode()
        except UnicodeDecodeError as error:
            raise FileFormatError(f"the text at byte {position} is not UTF-8") from error

    def number(self, kind: str, position: int) -> Any:
        form = "<H" if kind == "u16" else FORMATS[kind]
        self.span(position, struct.calcsize(form))
        return struct.unpack_from(form, self.data, position)[0]

    def span(self, start: int, length: int) -> None:
        """Check that bytes lie in the file, and count them."""
        if start < 0 or start + length > len(self.data):
            raise FileFormatError(f"bytes {start} to {start + length} of a file of {len(self.data)}: it is damaged")
        self.charge(length)

    def charge(self, size: int) -> None:
        """Count bytes that are made of the file.

        Raises:
            FileFormatError: more than a file of its size may cost.
        """
        self.left -= size
        if self.left < 0:
            raise FileFormatError("the parts of the file point at each other without end: it is damaged")


def with_outputs(data: bytes, indices: Sequence[int]) -> bytes:
    """The same file whose first subgraph yields the tensors ``indices`` instead; everything else stays where it is.

    Raises:
        FileFormatError: the file is damaged.
    """
    reader = FlatReader(data)

    def field(table: str, position: int, name: str) -> int:
        slot = [f.name for f in TABLES[table]].index(name)
        place = reader.places(table, position)[slot]
        if place is None:
            raise FileFormatError(f"the file's {table} has no {name}")
        return place

    subgraphs = field("Model", reader.number("u32", 0), "subgraphs")
    first = subgraphs + reader.number("u32", subgraphs) + 4
    outputs = field("SubGraph", first + reader.number("u32", first), "outputs")
    end = len(data) + -len(data) % 4
    vector = struct.pack(f"<I{len(indices)}i", len(indices), *indices)
    changed = data[:outputs] + struct.pack("<I", end - outputs) + data[outputs + 4 :]
    return changed.ljust(end, b"\0") + vector


def absent(field: Field) -> Any:
    """What a field is that a table leaves out."""
    return field.default if field.type in FORMATS else None


def write(model: dict[str, Any]) -> bytes:
    """The file of a model as :meth:`FlatReader.root` reads it; a union is a pair of table name and dict."""
    builder = BUILDER(1 << 16)
    builder.Finish(_table(builder, "Model", model), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _table(builder: Any, name: str, values: dict[str, Any]) -> int:
    fields = [(slot, field) for slot, field in enumerate(TABLES[name]) if values.get(field.name) is not None]
    children = {slot: _child(builder, f.type, values[f.name]) for slot, f in fields if f.type not in FORMATS}
    builder.StartObject(len(TABLES[name]))
    for slot, field in fields:
        if slot in children:
            builder.PrependUOffsetTRelativeSlot(slot, children[slot], 0)
        else:
            _prepend[field.type](builder, slot, values[field.name], field.default)
    return int(builder.EndObject())


_prepend: dict[str, Any] = {
    "u8": BUILDER.PrependUint8Slot,
    "i8": BUILDER.PrependInt8Slot,
    "bool": BUILDER.PrependBoolSlot,
    "i32": BUILDER.PrependInt32Slot,
    "u32": BUILDER.PrependUint32Slot,
    "u64": BUILDER.PrependUint64Slot,
    "f32": BUILDER.PrependFloat32Slot,
}


def _child(builder: Any, kind: str, value: Any) -> int:
    if kind == "union":
        return _table(builder, *value)
    if kind == "str":
        return int(builder.CreateString(value))
    if not kind.startswith("["):
        return _table(builder, kind, value)
    kind, _, alignment = kind[1:-1].partition("@")
    if kind in FORMATS:
        raw = np.asarray(value, np.dtype(FORMATS[kind])).tobytes()
        width = size_of(kind)
        builder.StartVector(width, len(raw) // width, int(alignment or width))
        builder.head -= len(raw)
        builder.Bytes[builder.head : builder.head + len(raw)] = raw
    else:
        tables = [_table(builder, kind, item) for item in value]
        builder.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())
