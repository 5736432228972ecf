"""A shell on an Android device, through the program adb of its platform tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.progress import Progress
from bnn_toolchain.runtime.devices.shell import quoted, remedy
from bnn_toolchain.runtime.devices.talk import talk

SERIAL = re.compile(r"[A-Za-z0-9][\w.:-]*", re.ASCII)
SECONDS = 600  # for sending one file
TROUBLES = (
    ("no devices/emulators found", "no device is connected: plug it in, and allow USB debugging on it"),
    ("more than one device", "several are connected: write adb:SERIAL, with a serial that `adb devices` prints"),
    ("unauthorized", "it does not trust this machine: unlock it, and allow USB debugging"),
    ("offline", "it is offline: unplug it and plug it in again"),
    ("not found", "no such device is connected: `adb devices` prints those that are"),
    ("closed", "the connection was lost: plug the device in, and run again"),
)


@dataclass(frozen=True)
class Adb:
    """adb, and which device it speaks to."""

    program: str
    serial: str  # "" where one alone is connected

    folder = "/data/local/tmp/bnnt-device"  # the one place where the shell's user may run programs

    def __str__(self) -> str:
        return f"adb:{self.serial}" if self.serial else "adb"

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """As :meth:`bnn_toolchain.runtime.devices.shell.Shell.command`."""
        return [*self._adb(), "shell", "-T", quoted(script, arguments)]

    def upload(self, file: Path, to: str, progress: Progress) -> None:
        """As :meth:`bnn_toolchain.runtime.devices.shell.Shell.upload`."""
        answer = talk([*self._adb(), "push", str(file.absolute()), to], str(self), limit=1 << 20, seconds=SECONDS)
        if answer.code:
            said = f"{answer.printed.decode('utf-8', 'replace')} {answer.complaint}".strip()
            lost = self.trouble(answer.code, said)
            raise Unavailable(lost or f"{self}: cannot write {to}: {said}{remedy(said)}")
        progress(size := file.stat().st_size, size)

    def trouble(self, code: int, complaint: str) -> str | None:
        """As :meth:`bnn_toolchain.runtime.devices.shell.Shell.trouble`: adb speaks of itself in a line of its own."""
        for line in complaint.splitlines():
            if line.startswith(("error: ", "adb: ")):
                advice = next((advice for words, advice in TROUBLES if words in line), None)
                if code and advice is not None:
                    return f"{self}: {advice}"
        return None

    def _adb(self) -> list[str]:
        return [self.program, *(("-s", self.serial) if self.serial else ())]


@contextmanager
def connect(serial: str) -> Iterator[Adb]:
    """The device called ``serial``, or if that is empty the only one.

    Raises:
        UsageError: no serial looks so.
        Unavailable: adb is not installed, or the device is not ready; the message says what to do.
    """
    if serial and not SERIAL.fullmatch(serial):
        raise UsageError(f"'{serial}' is no serial of a device: `adb devices` prints them")
    program = shutil.which("adb")
    if program is None:
        raise Unavailable("adb is not installed: apt install adb, or take it from Android's platform tools")
    shell = Adb(program, serial)
    subprocess.run([program, "start-server"], stdin=subprocess.DEVNULL, capture_output=True)  # it would hold our pipes
    answer = talk([*shell._adb(), "get-state"], str(shell), limit=1 << 16, seconds=30)
    if answer.code:
        raise Unavailable(shell.trouble(answer.code, answer.complaint) or f"{shell}: {answer.complaint}")
    yield shell
