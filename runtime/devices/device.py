"""Where an engine runs: this machine, or an emulated ARM CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.devices.qemu import Qemu, find_qemu

FORMS = "local, qemu:CPU (for example qemu:cortex-a72)"


@dataclass(frozen=True)
class Local:
    """This machine."""

    def __str__(self) -> str:
        return "local"


Device: TypeAlias = Local | Qemu


def device_from(text: str) -> Device:
    """The device that ``text`` names: "local" or "qemu:CPU".

    Raises:
        UsageError: another name, or a CPU that qemu does not know.
        Unavailable: qemu is not installed.
    """
    kind, _, cpu = text.partition(":")
    if text == "local":
        return Local()
    if kind == "qemu" and cpu:
        return find_qemu(cpu)
    raise UsageError(f"no device is called '{text}': write {FORMS}")
