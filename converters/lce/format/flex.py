"""The options of LCE's operators: a FlexBuffer map from names to integers.

flatbuffers writes them; it reads any FlexBuffer, nested and cyclic ones too, so reading is done here, with checks.
"""

from __future__ import annotations

import struct

from flatbuffers.flexbuffers import Dumps

from bnn_toolchain.errors import FileFormatError

UNSIGNED = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}
SIGNED = {1: "<b", 2: "<h", 4: "<i", 8: "<q"}
FORMS = {1: SIGNED, 2: UNSIGNED, 26: UNSIGNED}  # by type: INT, UINT, BOOL
MAP = 9
ENTRIES, KEY = 16, 64  # LCE's largest map has 8 entries, its longest key 24 bytes


def write_options(options: dict[str, int]) -> bytes:
    """The bytes that LCE's own converter writes for the same options."""
    return bytes(Dumps(dict(sorted(options.items()))))  # type: ignore[no-untyped-call]


def read_options(data: bytes) -> dict[str, int]:
    """The inverse of :func:`write_options`; no bytes are no options.

    Raises:
        FileFormatError: anything but a map of integers.
    """
    if not data:
        return {}
    if len(data) < 3 or data[-2] >> 2 != MAP or data[-1] not in UNSIGNED:
        raise FileFormatError("an operator's options are not a map")
    width = 1 << (data[-2] & 3)
    root = len(data) - 2 - data[-1]
    values = root - _number(data, root, UNSIGNED[data[-1]])
    count = _number(data, values - width, UNSIGNED[width])
    keys = values - 3 * width
    keys -= _number(data, keys, UNSIGNED[width])
    keys_width = _number(data, values - 2 * width, UNSIGNED[width])
    if count > ENTRIES or keys_width not in UNSIGNED:
        raise FileFormatError(f"an operator's options have {count} entries: the file is damaged")
    kinds = values + count * width
    return {
        _key(data, keys + i * keys_width, keys_width): _value(data, values + i * width, width, kinds + i)
        for i in range(count)
    }


def _key(data: bytes, position: int, width: int) -> str:
    start = position - _number(data, position, UNSIGNED[width])
    end = data.find(b"\0", start, start + KEY) if start >= 0 else -1
    if end < 0 or not data[start:end].isascii():
        raise FileFormatError("the name of an operator's option is damaged")
    return data[start:end].decode()


def _value(data: bytes, position: int, width: int, kind_position: int) -> int:
    forms = FORMS.get(_number(data, kind_position, "<B") >> 2)
    if forms is None:
        raise FileFormatError("an operator's option is not an integer")
    return _number(data, position, forms[width])


def _number(data: bytes, position: int, form: str) -> int:
    if position < 0 or position + struct.calcsize(form) > len(data):
        raise FileFormatError("an operator's options are damaged: an offset leaves them")
    return int(struct.unpack_from(form, data, position)[0])
