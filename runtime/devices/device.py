"""A place where programs run: this machine, an emulated ARM CPU, or a device that ssh or adb reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from bnn_toolchain.errors import UsageError
from bnn_toolchain.progress import Announce, Progress, silent, uncounted
from bnn_toolchain.runtime.targets.target import Arch

FORMS = (
    "local, qemu:CPU (for example qemu:cortex-a72), ssh://USER@HOST:PORT, a host of your ssh configuration, "
    "adb:SERIAL, or a name of your devices file"
)


class Device(Protocol):
    """A CPU, and a way to run a program on it. ``str`` gives the name that :func:`open_device` takes."""

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
    def timed(self) -> bool:
        """Whether it is asked for times all the same: a device of the user's with an emulator in front is, labelled."""

    @property
    def here(self) -> bool:
        """Whether it is this machine, where every engine runs in this process."""

    @property
    def python(self) -> tuple[str, ...]:
        """The words that start Python there, if there is one."""

    def script(self, script: str) -> bytes:
        """What a short script for a POSIX shell prints there.

        Raises:
            Unavailable: it cannot run, or the connection is lost.
        """

    def run(
        self,
        program: Path,
        arguments: Sequence[str],
        send: Mapping[str, Path | bytes],
        receive: Mapping[str, Path],
        interpreter: Sequence[str] = (),
    ) -> bytes:
        """Run ``program`` in a working folder of its own; what it prints comes back.

        It is static, or a text that ``interpreter`` reads.

        The files of ``send`` lie in that folder under their names, which ``arguments`` may name: a path stands for a
        file that a device keeps for the next time, bytes for one of this run alone. Those of ``receive`` are what the
        program leaves there, and end where the mapping says.

        Raises:
            CheckFailed: it could not start, did not end with exit code 0 or in time, printed without end, or left a
                file out.
            Unavailable: the connection is lost, or the device has no room for its files.
        """


@contextmanager
def open_device(text: str, announce: Announce = silent, progress: Progress = uncounted) -> Iterator[Device]:
    """The device that ``text`` names, in one of :data:`FORMS`, held until the block ends.

    ``announce`` is told what is sent to it, ``progress`` how many bytes of a file.

    Raises:
        UsageError: another name, or a CPU that qemu does not know.
        FileFormatError: the devices file is no such file.
        Unavailable: qemu, ssh or adb is not installed, the device is not there, runs no programs of bnnt, or is busy.
    """
    from bnn_toolchain.runtime.devices.local import Local
    from bnn_toolchain.runtime.devices.qemu import find_qemu

    kind, _, cpu = text.partition(":")
    if text == "local":
        yield Local()
    elif kind == "qemu" and cpu:
        yield find_qemu(cpu)
    else:
        from bnn_toolchain.runtime.devices.reach import reach, remote

        with ExitStack() as stack:
            yield stack.enter_context(remote(stack.enter_context(reach(text)), announce, progress))


def unknown(text: str) -> UsageError:
    """What is said of a name that means nothing."""
    return UsageError(f"no device is called '{text}': write {FORMS}")
