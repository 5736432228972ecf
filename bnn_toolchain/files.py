"""Files of ours: written whole or not at all, read within bounds; JSON with its types checked, wherever it is from."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

Stored = TypeVar("Stored")
PLAIN = 1 << 17  # values of any text, and one more for each 8 bytes
TYPED = PLAIN // 4  # where pydantic reads, which takes more memory
LIST, OBJECT = 4, 16  # values that take as much
SMALL_FILE = 1 << 20  # bytes: more than any text of ours that does not grow with the images
LARGE_FILE = 1 << 31  # bytes: more than any model or list of images


class Strict(BaseModel):
    """A record that is read as it was written: no conversions, nothing missing, nothing more."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: a reader, or a machine that loses power, sees the old file or the new one.

    Raises:
        OSError: as of :func:`open`; its ``filename`` is ``path``, and no part of the new file stays.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        error.filename = str(path)
        raise


def read_bounded(path: Path, most: int) -> bytes:
    """The content of ``path``, which has at most ``most`` bytes; what has no size, such as a pipe, at most a megabyte.

    Raises:
        OSError: as of :func:`open`.
        ValueError: it has more; no more than that is read.
    """
    with path.open("rb") as file:
        limit = min(max(os.fstat(file.fileno()).st_size, SMALL_FILE), most)  # as much memory as it takes, no more
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return data


def cache_folder() -> Path:
    """Where builds and environments are kept: the environment variable BNNT_CACHE, or the user's cache folder."""
    chosen = os.environ.get("BNNT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "bnnt"


def parse(kind: type[Stored], text: str | bytes) -> Stored:
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
