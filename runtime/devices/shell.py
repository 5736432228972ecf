"""A POSIX shell on another machine: all that bnnt wants of a device. Each way to reach one is a file of its own."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bnn_toolchain.errors import Unavailable
from bnn_toolchain.progress import Progress


class Shell(Protocol):
    """A connection. ``str`` gives the address."""

    @property
    def folder(self) -> str:
        """Where bnnt keeps its files there if nobody says otherwise."""

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """The program of this machine that runs ``script`` there, with ``arguments`` as $1, $2, …

        Its stdin, stdout and stderr are the script's. When it dies the script's stdin ends.
        """

    def upload(self, file: Path, to: str, progress: Progress) -> None:
        """Write ``file`` there, to the path ``to``.

        Raises:
            Unavailable: it cannot be written, or the connection is lost.
        """

    def trouble(self, code: int, complaint: str) -> str | None:
        """Why the connection failed, and what to do, if it is the connection that ended with ``code``."""


def quoted(script: str, arguments: Sequence[str]) -> str:
    """A line that any login shell runs as ``script`` in a POSIX shell; no character of an argument means anything."""
    return shlex.join(["exec", "sh", "-c", script, "bnnt", *arguments])


def nonsense(device: object) -> Unavailable:
    """What is said of an answer that no script of ours gives."""
    return Unavailable(
        f"{device} answers what no shell of it should: does a start-up file there (.bashrc, …) print something? "
        "It must be silent where there is no terminal"
    )


def remedy(complaint: str) -> str:
    """What to do when a file cannot be written or run there, by the system's own words."""
    for words, advice in (
        ("No space left", "its disk is full: free some space there, or name another folder in the devices file"),
        ("Read-only file system", "name a folder that can be written in the devices file"),
        ("Permission denied", "name a folder of yours in the devices file"),
        ("No such file or directory", "make the folder's parent there, or name another folder in the devices file"),
    ):
        if words in complaint:
            return f": {advice}"
    return ""
