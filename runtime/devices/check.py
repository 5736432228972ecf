"""What a device is and what works on it, tried and not guessed."""

from __future__ import annotations

from dataclasses import dataclass

from bnn_toolchain.errors import BnntError
from bnn_toolchain.progress import Announce, silent
from bnn_toolchain.runtime.devices.facts import Facts
from bnn_toolchain.runtime.devices.reach import reach, remote
from bnn_toolchain.runtime.devices.remote import Remote, facts_of
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import oldest_target

ROOM = 64 << 20  # bytes of disk that models and results take, at most, in all but odd cases
USAGE = "bnnt-run MODEL.onnx"  # what the program says of itself if it is given nothing


@dataclass(frozen=True)
class Finding:
    """One thing about a device; ``works`` is None where there is nothing to work."""

    part: str
    works: bool | None
    found: str
    remedy: str = ""


def check_device(name: str, announce: Announce = silent) -> list[Finding]:
    """Connect to the device called ``name``, and run bnnt's program there.

    Raises:
        UsageError, Unavailable: there is no such device, or no connection; the message says why and what to do.
    """
    with reach(name) as reached:
        facts = facts_of(reached.shell, reached.folder)
        findings = [Finding("connection", True, str(reached.shell)), *_machine(facts)]
        try:
            with remote(reached, announce) as device:
                findings += [Finding("own folder", True, reached.folder), _program(device)]
        except BnntError as error:
            findings.append(Finding("native engine", False, "does not run", str(error)))
        return findings


def _machine(facts: Facts) -> list[Finding]:
    kinds = ", ".join(f"{len(numbers)} x {name}" for name, numbers in facts.clusters.items())
    state = facts.state
    findings = [
        Finding("machine", None, f"{facts.model or 'no board name'}, {facts.machine}, {facts.system} {facts.kernel}"),
        Finding("cores", None, kinds or "unknown"),
    ]
    chosen = ("asimd", "asimddp", "sve", "avx2", "avx512_vpopcntdq")
    if features := [feature for feature in chosen if feature in facts.features]:
        findings.append(Finding("features", None, ", ".join(features)))
    if facts.memory_bytes is not None:
        page = f", pages of {facts.page_bytes:,} bytes" if facts.page_bytes else ""
        findings.append(Finding("memory", None, f"{facts.memory_bytes / 2**20:,.0f} MB{page}"))
    if facts.free_bytes is not None:
        enough = facts.free_bytes >= ROOM
        found = f"{facts.free_bytes / 2**20:,.0f} MB free"
        findings.append(Finding("disk", enough, found, "" if enough else f"free {ROOM >> 20} MB there"))
    if state.governors:
        still = set(state.governors) <= {"performance", "userspace"}
        remedy = "for steady figures: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        findings.append(Finding("governor", None, ", ".join(state.governors), "" if still else remedy))
    if state.celsius is not None:
        findings.append(Finding("temperature", None, f"{state.celsius:.0f} °C"))
    if state.throttled:
        findings.append(Finding("throttling", False, state.throttled, "better cooling, or a stronger power supply"))
    python = facts.python or "none"
    findings.append(Finding("python", None, python, "" if facts.python else "only --engine onnxruntime wants it"))
    return findings


def _program(device: Remote) -> Finding:
    own = build(oldest_target(device.arch)).program
    try:
        device.run(own, (), {}, {})
    except BnntError as error:
        if USAGE not in str(error):
            return Finding("native engine", False, "does not run", str(error))
    with_runner = f", under {' '.join(device.runner)}" if device.runner else ""
    return Finding("native engine", True, f"runs: {device.arch}{with_runner}")
