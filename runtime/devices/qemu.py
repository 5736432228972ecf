"""An ARM CPU that qemu emulates on this machine: it proves results, never speed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.runtime.devices.process import run_process, run_script
from bnn_toolchain.runtime.targets.target import Arch

QEMU = "qemu-aarch64-static"
QEMU_PACKAGE = "qemu-user-static"  # of Debian


@dataclass(frozen=True)
class Qemu:
    """``qemu-aarch64-static -cpu CPU``."""

    emulator: str  # the program qemu
    cpu: str

    arch: Arch = "arm64"
    emulated = True
    timed = False
    here = False
    python = ()

    def __str__(self) -> str:
        return f"qemu:{self.cpu}"

    def script(self, script: str) -> bytes:
        """As :meth:`bnn_toolchain.runtime.devices.device.Device.script`; the shell is that of this machine."""
        return run_script(script)

    def run(
        self,
        program: Path,
        arguments: Sequence[str],
        send: Mapping[str, Path | bytes],
        receive: Mapping[str, Path],
        interpreter: Sequence[str] = (),
    ) -> bytes:
        """As :meth:`bnn_toolchain.runtime.devices.device.Device.run`."""
        return run_process(
            (self.emulator, "-cpu", self.cpu, *interpreter), program, arguments, send, receive, str(self)
        )


def find_qemu(cpu: str) -> Qemu:
    """qemu for one CPU.

    Raises:
        Unavailable: it is not installed.
        UsageError: it does not know the CPU; the message lists those that it knows.
    """
    emulator = shutil.which(QEMU)
    if emulator is None:
        raise Unavailable(f"{QEMU} is not installed: apt install {QEMU_PACKAGE}")
    listed = subprocess.run([emulator, "-cpu", "help"], capture_output=True, text=True).stdout
    known = [line.strip() for line in listed.splitlines() if line.startswith(" ") and line.strip()]
    if cpu not in known:
        raise UsageError(f"qemu knows no CPU called '{cpu}': choose from {', '.join(known)}")
    return Qemu(emulator, cpu)
