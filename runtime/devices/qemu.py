"""An ARM CPU that qemu emulates on this machine: it proves results, never speed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.errors import CheckFailed, Unavailable, UsageError

QEMU = "qemu-aarch64-static"
TIMEOUT = 900  # seconds for one run of a program


@dataclass(frozen=True)
class Qemu:
    """``qemu-aarch64-static -cpu CPU``."""

    program: str
    cpu: str

    def __str__(self) -> str:
        return f"qemu:{self.cpu}"

    def execute(self, program: Path, arguments: Sequence[str]) -> None:
        """Run a static arm64 ``program``.

        Raises:
            CheckFailed: it ended with anything but exit code 0, or not within ``TIMEOUT`` seconds.
        """
        try:
            done = subprocess.run(
                [self.program, "-cpu", self.cpu, str(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(f"{program.name} on {self} did not end within {TIMEOUT} seconds") from error
        if done.returncode:
            said = done.stderr[-500:].decode("utf-8", "replace").strip()
            raise CheckFailed(f"{program} on {self} ended with {done.returncode}: {said or 'it said nothing'}")


def find_qemu(cpu: str) -> Qemu:
    """qemu for one CPU.

    Raises:
        Unavailable: it is not installed.
        UsageError: it does not know the CPU; the message lists those that it knows.
    """
    program = shutil.which(QEMU)
    if program is None:
        raise Unavailable(f"{QEMU} is not installed: apt install qemu-user-static")
    listed = subprocess.run([program, "-cpu", "help"], capture_output=True, text=True).stdout
    known = [line.strip() for line in listed.splitlines() if line.startswith(" ") and line.strip()]
    if cpu not in known:
        raise UsageError(f"qemu knows no CPU called '{cpu}': choose from {', '.join(known)}")
    return Qemu(program, cpu)
