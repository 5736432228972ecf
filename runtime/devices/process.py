"""A program as a process of this machine, in a working folder of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bnn_toolchain.errors import CheckFailed, Unavailable
from bnn_toolchain.files import read_bounded
from bnn_toolchain.runtime.devices.talk import talk

TIMEOUT = 900  # seconds for one run of a program
PRINTED = 1 << 24  # bytes that a program may print: its profile of a network of many nodes has a megabyte


def run_process(
    emulator: Sequence[str],
    program: Path,
    arguments: Sequence[str],
    send: Mapping[str, Path | bytes],
    receive: Mapping[str, Path],
    device: str,
) -> bytes:
    """Run ``program``, under ``emulator`` if it has words, as :meth:`bnn_toolchain.runtime.devices.device.Device.run`.

    Raises:
        As there; the message names the ``device``.
    """
    with tempfile.TemporaryDirectory(prefix="bnnt-") as temporary:
        folder, printed, complaint = (Path(temporary) / name for name in ("work", "stdout", "stderr"))
        folder.mkdir()
        for name, content in send.items():
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                (folder / name).symlink_to(content.absolute())
        command = [*emulator, str(program.absolute()), *arguments]
        try:
            with printed.open("wb") as stdout, complaint.open("wb") as stderr:
                done = subprocess.run(
                    command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, timeout=TIMEOUT
                )
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(f"{program.name} on {device} did not end within {TIMEOUT} seconds") from error
        except OSError as error:
            raise CheckFailed(f"{program} on {device} cannot start: {error.strerror}") from error
        if done.returncode:
            reason = _last_words(complaint) or "it gave no reason"
            raise CheckFailed(f"{program} on {device} ended with {done.returncode}: {reason}")
        for name, path in receive.items():
            try:
                (folder / name).rename(path)
            except FileNotFoundError as error:
                raise CheckFailed(f"{program.name} on {device} left no {name}") from error
        try:
            return read_bounded(printed, PRINTED)
        except ValueError as error:
            raise CheckFailed(f"{program.name} on {device} prints without end: {error}") from error


def run_script(script: str) -> bytes:
    """What a short ``script`` prints in this machine's shell.

    Raises:
        Unavailable: there is no shell, or the script fails.
    """
    # The system's own programs are there even where PATH names few.
    path = os.pathsep.join(filter(None, (os.environ.get("PATH"), os.defpath)))
    answer = talk(
        ["sh", "-c", f"PATH={shlex.quote(path)}\n{script}"], "this machine's shell", limit=PRINTED, seconds=60
    )
    if answer.code:
        raise Unavailable(f"this machine's shell ended with {answer.code}: {answer.complaint}")
    return answer.printed


def _last_words(complaint: Path) -> str:
    with complaint.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 500))
        return file.read().decode("utf-8", "replace").strip()
