"""This machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.runtime.devices.process import run_process, run_script
from bnn_toolchain.runtime.targets.target import Arch, host_target


@dataclass(frozen=True)
class Local:
    """This machine; its CPU is that of :func:`host_target`, since the library finds out what more it has."""

    emulated = False
    timed = True
    here = True
    python = (sys.executable,)

    @property
    def arch(self) -> Arch:
        return host_target().arch

    @property
    def cpu(self) -> str:
        return host_target().cpu

    def __str__(self) -> str:
        return "local"

    def script(self, script: str) -> bytes:
        """As :meth:`bnn_toolchain.runtime.devices.device.Device.script`."""
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
        return run_process(interpreter, program, arguments, send, receive, str(self))
