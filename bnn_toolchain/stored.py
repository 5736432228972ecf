"""JSON of ours, read back with its types checked: the file may come from anywhere."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")
PLAIN = 1 << 17  # values of any text, and one more for each 8 bytes
TYPED = PLAIN // 4  # where pydantic reads, which takes more memory
LIST, OBJECT = 4, 16  # values that take as much


def parse(kind: type[Kind], text: str | bytes) -> Kind:
    """An instance of ``kind``, a dataclass or a pydantic model, from its JSON.

    Raises:
        ValueError: it is something else; the message names the first wrong field.
    """
    _check_values(text, TYPED)
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def read_json(text: str | bytes) -> Any:
    """What ``text`` says, of whatever types.

    Raises:
        ValueError: it is no JSON, or has more or deeper values than any text of ours.
    """
    _check_values(text, PLAIN)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("lists in lists without end") from error


def _check_values(text: str | bytes, most: int) -> None:
    """Refuse a small text that becomes large in memory: "[],[],…" takes 100 times its size."""
    data = text.encode() if isinstance(text, str) else text
    values = data.count(b",") + LIST * data.count(b"[") + OBJECT * data.count(b"{")
    if values > most + len(data) // 8:
        raise ValueError(f"{len(data)} bytes with more lists and values than any text of ours")
