"""JSON of ours, read back with its types checked: the file may come from anywhere."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")
VALUES = 1 << 16  # of any text; above, one for each 16 bytes: "[],[],…" takes 24 times its size in memory


def parse(kind: type[Kind], text: str | bytes) -> Kind:
    """An instance of ``kind``, a dataclass or a pydantic model, from its JSON.

    Raises:
        ValueError: it is something else; the message names the first wrong field.
    """
    _check_values(text)
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def read_json(text: str | bytes) -> Any:
    """What ``text`` says, of whatever types.

    Raises:
        ValueError: it is no JSON, or has more or deeper values than any text of ours.
    """
    _check_values(text)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("lists in lists without end") from error


def _check_values(text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > VALUES + len(data) // 16:
        raise ValueError(f"{values} values in {len(data)} bytes: nothing of ours has so many")
