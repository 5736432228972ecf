"""A process of this machine that speaks for another: what it says is taken within bounds of size and time."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bnn_toolchain.errors import Unavailable
from bnn_toolchain.progress import Progress, uncounted

PIECE = 1 << 16  # bytes at a time
COMPLAINT = 4000  # bytes of stderr that are kept, the last ones


@dataclass(frozen=True)
class Answer:
    """How a process ended."""

    code: int
    printed: bytes
    complaint: str  # the end of what it said on stderr


def talk(
    command: Sequence[str],
    who: str,
    *,
    limit: int,
    seconds: float,
    send: Path | None = None,
    progress: Progress = uncounted,
) -> Answer:
    """Run ``command`` and take what it prints.

    Its stdin is the file ``send``, or else stays open and empty until it ends: who reads there learns that we are gone.
    ``progress`` is told how many bytes of ``send`` are sent.

    Raises:
        Unavailable: it cannot start, prints more than ``limit`` bytes, or does not end within ``seconds``; the message
            names ``who``.
    """
    process = start(command)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    printed, complaint, rest, done = bytearray(), bytearray(), memoryview(b""), 0
    end = time.monotonic() + seconds
    total = 0 if send is None else send.stat().st_size
    try:
        with selectors.DefaultSelector() as selector, (send or Path(os.devnull)).open("rb") as source:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            if send is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while any(key.fileobj is not process.stdin for key in selector.get_map().values()):
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready and time.monotonic() >= end:
                    raise Unavailable(f"{who} gave no answer within {seconds:.0f} seconds: is it busy, or gone?")
                for key, _ in ready:
                    if key.fileobj is process.stdin:
                        rest = rest or memoryview(source.read(PIECE))
                        if not rest or (written := _write(process.stdin, rest)) is None:
                            selector.unregister(process.stdin)
                            process.stdin.close()
                            continue
                        rest, done = rest[written:], done + written
                        progress(done, total)
                    elif piece := os.read(key.fd, PIECE):
                        (printed if key.fileobj is process.stdout else complaint).extend(piece)
                        del complaint[:-COMPLAINT]
                    else:
                        selector.unregister(key.fileobj)
                if len(printed) > limit:
                    raise Unavailable(f"{who} answers without end: more than {limit:,} bytes where fewer were expected")
        try:
            code = process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{who} does not end: is it busy, or gone?") from error
    finally:
        stop(process)
    return Answer(code, bytes(printed), printable(complaint))


def printable(text: bytes | bytearray) -> str:
    """What somebody else said, as it may be shown: no character of it moves a cursor or colours a terminal."""
    lines = text.decode("utf-8", "replace").splitlines()
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines).strip()


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start ``command`` with three pipes.

    Raises:
        Unavailable: it is not there.
    """
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise Unavailable(f"{command[0]} cannot start: {error.strerror}") from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, if it has not ended, and close its pipes."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _write(pipe: IO[bytes], data: memoryview) -> int | None:
    """How many bytes were taken; None if nobody reads any more."""
    try:
        return os.write(pipe.fileno(), data)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return None
