"""From the name of a device that is not this machine to a connection, and to a device that is ready."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.progress import Announce, Progress, silent, uncounted
from bnn_toolchain.runtime.devices import adb, ssh
from bnn_toolchain.runtime.devices.device import unknown
from bnn_toolchain.runtime.devices.facts import Facts
from bnn_toolchain.runtime.devices.named import NamedDevice, named_devices
from bnn_toolchain.runtime.devices.remote import Remote, facts_of, held
from bnn_toolchain.runtime.devices.shell import Shell
from bnn_toolchain.runtime.targets import arm
from bnn_toolchain.runtime.targets.target import X86_64_CPU, Arch

EMULATORS: tuple[tuple[str, Arch], ...] = (("qemu-aarch64", "arm64"), ("qemu-x86_64", "x86_64"))
OLDEST_KERNEL = (2, 6, 16)  # the first with openat and renameat, which bnnt-run calls


@dataclass(frozen=True)
class Reached:
    """A connection, and what the devices file says of it."""

    name: str
    shell: Shell
    folder: str
    runner: tuple[str, ...]
    python: tuple[str, ...]
    runner_arch: Arch | None


@contextmanager
def reach(text: str) -> Iterator[Reached]:
    """A connection to the device called ``text`` until the block ends.

    Raises:
        UsageError, FileFormatError, Unavailable: as :func:`bnn_toolchain.runtime.devices.device.open_device`.
    """
    named = {} if "://" in text else named_devices()
    entry = named.get(text) or NamedDevice(address=_address(text))
    runner, python = (_words(text, words) for words in (entry.runner or "", entry.python))
    arch = entry.arch or next((arch for name, arch in EMULATORS if runner and name in runner[0]), None)
    if runner and arch is None:
        raise UsageError(f'{text}: the runner \'{entry.runner}\' is unknown: add arch = "arm64" or "x86_64"')
    with _connect(entry.address) as shell:
        folder = entry.folder or shell.folder
        # "./" keeps a name that begins with a dash from being an option.
        folder = folder if folder.startswith("/") else f"./{folder.removeprefix('~/')}"
        if PurePosixPath(folder) in (PurePosixPath("/"), PurePosixPath()) or ".." in PurePosixPath(folder).parts:
            raise UsageError(f"{text}: the folder '{entry.folder}' is not one of bnnt's own: name one that it may make")
        yield Reached(text, shell, folder, runner, python, arch if runner else None)


@contextmanager
def remote(reached: Reached, announce: Announce = silent, progress: Progress = uncounted) -> Iterator[Remote]:
    """The device behind a connection, which nobody else of bnnt uses until the block ends.

    Raises:
        Unavailable: it runs no programs of bnnt, somebody is at work there, or its folder cannot be used.
    """
    facts = facts_of(reached.shell, reached.folder)
    arch = reached.runner_arch or arch_of(facts, reached.name)
    with held(reached.shell, reached.folder):
        yield Remote(
            name=reached.name,
            shell=reached.shell,
            folder=reached.folder,
            runner=reached.runner,
            python=reached.python,
            facts=facts,
            arch=arch,
            cpu=cpu_of(facts, arch, reached.runner),
            emulated=bool(reached.runner),
            announce=announce,
            progress=progress,
        )


def arch_of(facts: Facts, name: str) -> Arch:
    """What a machine runs.

    Raises:
        Unavailable: nothing that bnnt builds.
    """
    if facts.system != "Linux":
        raise Unavailable(f"{name} runs {facts.system}: the native engine runs on Linux and Android")
    if facts.arch is None:
        raise Unavailable(
            f"{name} is a {facts.machine}: the native engine runs on x86-64 and 64-bit ARM; "
            "a board whose CPU has 64 bits may need a 64-bit system"
        )
    numbers = tuple(int(number) for number in re.findall(r"\d{1,6}", facts.kernel)[:3])
    if len(numbers) < 2:
        raise Unavailable(f"{name} says that its kernel is '{facts.kernel}': is its uname what it should be?")
    if numbers < OLDEST_KERNEL:
        raise Unavailable(f"{name} has Linux {facts.kernel}: bnnt-run needs 2.6.16 or newer")
    return facts.arch


def cpu_of(facts: Facts, arch: Arch, runner: tuple[str, ...]) -> str:
    """The CPU to choose a build by: that of the runner's ``-cpu``, or the oldest of the machine's cores."""
    if arch == "x86_64":
        return X86_64_CPU
    if runner:
        return next((word for option, word in pairwise(runner) if option == "-cpu"), arm.GENERIC)
    return arm.oldest([core.name for core in facts.cores])


def _words(name: str, line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"{name}: '{line}' of the devices file: {error}") from error


def _connect(address: str) -> AbstractContextManager[Shell]:
    kind, _, serial = address.partition(":")
    return adb.connect(serial) if kind == "adb" else ssh.connect(address)


def _address(text: str) -> str:
    """``text`` if it is an address of a device.

    Raises:
        UsageError: it is none.
    """
    if text == "adb" or text.startswith(("adb:", "ssh://")) or ssh.is_configured(text):
        return text
    raise unknown(text)
