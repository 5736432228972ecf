"""A model's file, whatever its format: written whole, read within bounds, and named in every error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import FileFormatError, Unsupported, UsageError
from bnn_toolchain.files import LARGE_FILE, read_bounded, write_atomically


def write_model(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file's content; a reader sees the old file or the new one, never a part.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def read_model(path: str | os.PathLike[str], parse: Callable[[bytes], Graph]) -> Graph:
    """What ``parse`` makes of a file's content.

    Raises:
        UsageError: the file cannot be read.
        FileFormatError, Unsupported: as ``parse``; the message names the file.
    """
    try:
        data = read_bounded(Path(path), LARGE_FILE)
        if not data:
            raise FileFormatError("it is empty: export or copy it again")
        return parse(data)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, FileFormatError) as error:
        raise FileFormatError(f"{path}: {error}") from error
    except Unsupported as error:
        raise Unsupported(f"{path}: {error}") from error
