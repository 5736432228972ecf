"""JSON of ours, read back with its types checked: the file may come from anywhere."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")


def parse(kind: type[Kind], text: str | bytes) -> Kind:
    """An instance of ``kind``, a dataclass or a pydantic model, from its JSON.

    Raises:
        ValueError: it is something else; the message names the first wrong field.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
