"""A place where programs run: this machine, or an emulated ARM CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.targets.target import Arch

FORMS = "local, qemu:CPU (for example qemu:cortex-a72)"


class Device(Protocol):
    """A CPU, and a way to run a program on it. ``str`` gives the name that :func:`device_from` takes."""

    @property
    def arch(self) -> Arch:
        """The instructions that it runs."""

    @property
    def cpu(self) -> str:
        """Its name as compilers know it, such as cortex-a72, or that of the oldest CPU that it may be."""

    @property
    def emulated(self) -> bool:
        """Whether its time says nothing."""

    @property
    def here(self) -> bool:
        """Whether it is this machine, where every engine runs in this process."""

    def run(
        self, program: Path, arguments: Sequence[str], send: Mapping[str, Path], receive: Mapping[str, Path]
    ) -> bytes:
        """Run a static ``program`` in a working folder of its own; what it prints comes back.

        The files of ``send`` lie in that folder under their names, which ``arguments`` may name; those of ``receive``
        are what the program leaves there, and end where the mapping says.

        Raises:
            CheckFailed: it could not start, did not end with exit code 0 or in time, printed without end, or left a
                file out.
        """


def device_from(text: str) -> Device:
    """The device that ``text`` names, in one of :data:`FORMS`.

    Raises:
        UsageError: another name, or a CPU that qemu does not know.
        Unavailable: qemu is not installed.
    """
    from bnn_toolchain.runtime.devices.local import Local
    from bnn_toolchain.runtime.devices.qemu import find_qemu

    kind, _, cpu = text.partition(":")
    if text == "local":
        return Local()
    if kind == "qemu" and cpu:
        return find_qemu(cpu)
    raise UsageError(f"no device is called '{text}': write {FORMS}")
