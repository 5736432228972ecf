"""What the native engine is built for, and which CPU runs which build."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.runtime.targets import arm

Arch = Literal["x86_64", "arm64"]
TARGET_NAMES: tuple[str, ...] = ("host", *get_args(Arch))
X86_64_CPU = "x86-64-v2"  # the oldest that the library runs on: it chooses wider kernels when it loads


@dataclass(frozen=True)
class Target:
    """What to build for. ``cpu`` is the compiler's name of the oldest CPU that must run it, e.g. cortex-a72."""

    arch: Arch
    cpu: str

    def __str__(self) -> str:
        return f"{self.arch} {self.cpu}"

    def runs_on(self, arch: Arch, cpu: str) -> bool:
        """Whether ``cpu``, of ``arch``, has every instruction of a build for this target, as far as is known."""
        return arch == self.arch and (arch == "x86_64" or arm.runs(cpu, self.cpu))


def host_target() -> Target:
    """This machine, down to the oldest CPU that the library runs on.

    Raises:
        Unavailable: neither Linux on x86-64 nor on ARM64.
    """
    machine = platform.machine().lower()
    if sys.platform == "linux" and machine in ("x86_64", "amd64"):
        return oldest_target("x86_64")
    if sys.platform == "linux" and machine in ("aarch64", "arm64"):
        return oldest_target("arm64")
    raise Unavailable(
        f"the native engine runs on Linux on x86-64 and ARM64, not on {sys.platform} {machine}: "
        "use the engine onnxruntime here"
    )


def oldest_target(arch: Arch) -> Target:
    """What every CPU of ``arch`` runs."""
    return Target(arch, X86_64_CPU if arch == "x86_64" else arm.GENERIC)


def targets_from(names: Sequence[str], cpu: str | None = None) -> list[Target]:
    """The targets called ``names``, of :data:`TARGET_NAMES`. ``cpu`` is the oldest ARM CPU that must run them.

    On x86-64 the library chooses its kernels when it loads, so there is no CPU to choose.

    Raises:
        UsageError: another name, or a CPU without a target that it belongs to.
        Unavailable: the native engine does not run on this host.
    """
    if cpu is not None and "arm64" not in names:
        raise UsageError(f"--cpu {cpu} is the oldest ARM CPU of a target arm64: add --target arm64")
    return list(dict.fromkeys(_target(name, cpu) for name in names))


def _target(name: str, cpu: str | None) -> Target:
    match name:
        case "host":
            return host_target()
        case "arm64":
            return Target("arm64", (cpu or arm.GENERIC).lower().replace("_", "-"))
        case "x86_64":
            return oldest_target("x86_64")
        case _:
            raise UsageError(f"no target is called '{name}': choose from {', '.join(TARGET_NAMES)}")
