"""The parts of an ONNX file, counted before it is parsed: protobuf makes an object of each, however small."""

from __future__ import annotations

from functools import cache
from typing import Any

from onnx import ModelProto

from bnn_toolchain.errors import FileFormatError

FOREIGN = "not an ONNX file, or a truncated one"
PARTS = 1 << 18  # fields; those of the largest graph that a file may hold are two thirds of it
MESSAGE = 8  # what a field counts that is a message of its own
DEPTH = 16  # of messages in messages; a file of bnnt has 7


def check_parts(data: bytes) -> None:
    """Refuse a file that has more parts than any graph, or none that end inside it.

    Raises:
        FileFormatError: truncated, foreign, or made to exhaust memory.
    """
    _count(memoryview(data), ModelProto.DESCRIPTOR, PARTS, DEPTH)


def _count(data: memoryview, kind: Any, left: int, depth: int) -> int:
    """What is left of ``left`` after the fields of a message of ``kind``."""
    inner = _messages(kind)
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        left -= 1
        match tag & 7:
            case 0:
                _, position = _varint(data, position)
            case 1:
                position += 8
            case 5:
                position += 4
            case 2:
                size, position = _varint(data, position)
                if tag >> 3 in inner and position + size <= end:
                    if not depth:
                        raise FileFormatError("the parts of the file lie in each other without end: it is corrupt")
                    left = _count(data[position : position + size], inner[tag >> 3], left - MESSAGE, depth - 1)
                position += size
            case _:
                raise FileFormatError(FOREIGN)
        if left < 0:
            raise FileFormatError(f"the file has more than {PARTS} parts: it is corrupt, or no network for a CPU")
    if position > end:
        raise FileFormatError(FOREIGN)
    return left


@cache
def _messages(kind: Any) -> dict[int, Any]:
    """The kinds of the fields that are messages, by number."""
    return {field.number: field.message_type for field in kind.fields if field.message_type is not None}


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number and the place behind it."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise FileFormatError(FOREIGN)
