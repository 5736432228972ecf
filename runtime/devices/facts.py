"""What kind of machine a device is, and in what state, from the files of its system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bnn_toolchain.runtime.devices.shell import nonsense
from bnn_toolchain.runtime.targets import arm
from bnn_toolchain.runtime.targets.target import Arch

CORE = re.compile(r"/sys/devices/system/cpu/cpu(\d{1,4})/")
PLAIN = re.compile(r"[^\x20-\x7e]+")  # what comes back is shown to people: nothing but printable ASCII


@dataclass(frozen=True)
class Core:
    """One core of the CPU."""

    number: int
    name: str  # as compilers call it, e.g. cortex-a72; of x86 as the system does
    hertz: float | None  # at most; None where the system does not say


@dataclass(frozen=True)
class State:
    """What changes from minute to minute."""

    load: float | None  # average of the last minute: above 0 somebody else was busy
    governors: tuple[str, ...]  # different ones
    hertz: tuple[float, ...]  # of each core, now
    celsius: float | None  # of the hottest sensor
    throttled: str  # what says that the machine slows itself down; "" if nothing does
    throttle_counts: int  # how often it did since it started; only x86 counts
    joules: float | None  # that the CPU took since some point, where there is a meter
    watts: float | None  # that the machine takes now, where there is a meter


@dataclass(frozen=True)
class Facts:
    """A machine. None is what it does not say."""

    system: str  # Linux
    machine: str  # as uname -m says
    kernel: str
    model: str  # of the board, e.g. Raspberry Pi 4 Model B Rev 1.4; "" if there is no such thing
    cores: tuple[Core, ...]
    features: tuple[str, ...]
    page_bytes: int | None
    memory_bytes: int | None
    available_bytes: int | None
    free_bytes: int | None  # of the disk
    python: str  # path; "" if there is none
    state: State

    @property
    def arch(self) -> Arch | None:
        """What programs it runs; None if bnnt builds none for it."""
        if self.system != "Linux":
            return None
        match self.machine:
            case "x86_64" | "amd64":
                return "x86_64"
            case "aarch64" | "arm64":
                return "arm64"
        return None

    @property
    def clusters(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the cores that are alike, by name; of two kinds with one name, the faster is said so."""
        kinds: dict[tuple[str, float], list[int]] = {}
        for core in self.cores:
            kinds.setdefault((core.name, core.hertz or 0.0), []).append(core.number)
        names = [name for name, _ in kinds]
        return {
            name if names.count(name) == 1 else f"{name} at {hertz / 1e9:.2f} GHz": tuple(numbers)
            for (name, hertz), numbers in sorted(kinds.items(), key=lambda kind: kind[0][1])
        }


def read_facts(text: bytes, who: str) -> Facts:
    """The facts in what :data:`bnn_toolchain.runtime.devices.scripts.FACTS` printed.

    Raises:
        Unavailable: it is something else; the message names ``who``.
    """
    head, *sections = text.decode("utf-8", "replace").replace("\0", "").split("\n== ")
    lines = head.splitlines()
    if len(lines) != 4 or lines[0] != "facts" or not sections or not sections[-1].startswith("end"):
        raise nonsense(who)
    files = {name: body for name, _, body in (section.partition("\n") for section in sections)}
    memory = dict(re.findall(r"^(\w+): +(\d{1,15}) kB", files.get("/proc/meminfo", ""), re.MULTILINE))
    page = re.search(r"KernelPageSize: +(\d{1,6}) kB", files.get("page", ""))
    cpuinfo = files.get("/proc/cpuinfo", "")
    features = re.search(r"^(?:flags|Features)\s*: (.*)", cpuinfo, re.MULTILINE)
    return Facts(
        system=_plain(lines[1]),
        machine=_plain(lines[2]),
        kernel=_plain(lines[3]),
        model=_plain(files.get("/proc/device-tree/model", "")),
        cores=_cores(cpuinfo, files),
        features=tuple(_plain(features[1]).split()) if features else (),
        page_bytes=int(page[1]) * 1024 if page else None,
        memory_bytes=int(memory["MemTotal"]) * 1024 if "MemTotal" in memory else None,
        available_bytes=int(memory["MemAvailable"]) * 1024 if "MemAvailable" in memory else None,
        free_bytes=_free(files.get("free", "")),
        python=_plain(files.get("python", "")),
        state=_state(files),
    )


def _cores(cpuinfo: str, files: Mapping[str, str]) -> tuple[Core, ...]:
    hertz = {number: kilo * 1e3 for number, kilo in _by_core(files, "cpufreq/cpuinfo_max_freq")}
    cores = []
    for block in cpuinfo.split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        number = fields.get("processor", "")
        if not number.isdecimal() or len(number) > 4:
            continue
        try:
            name = arm.core_name(int(fields["CPU implementer"], 0), int(fields["CPU part"], 0))
        except (KeyError, ValueError):
            name = fields.get("model name", "unknown")
        cores.append(Core(int(number), _plain(name), hertz.get(int(number))))
    return tuple(cores)


def _state(files: Mapping[str, str]) -> State:
    load = re.match(r"\d+\.\d+", files.get("/proc/loadavg", ""))
    celsius = [x / 1e3 for x in _numbers(files, "/sys/class/thermal/", "/temp") if -1e5 < x < 2e5]
    joules = [x / 1e6 for x in _numbers(files, "/sys/class/powercap/", "/energy_uj")]
    watts = [x / 1e6 for x in _numbers(files, "/sys/class/hwmon/", "/power1_input")]
    watts += [x / 1e3 for x in _numbers(files, "/sys/bus/i2c/", "/in_power0_input")]
    pi = re.search(r"throttled=(0x[0-9a-f]{1,8})", files.get("throttled", ""))
    pi_flags = pi[1] if pi else files.get("/sys/devices/platform/soc/soc:firmware/get_throttled", "").strip()
    return State(
        load=float(load[0]) if load else None,
        governors=tuple(sorted({_plain(x) for name, x in files.items() if name.endswith("/cpufreq/scaling_governor")})),
        hertz=tuple(kilo * 1e3 for _, kilo in _by_core(files, "cpufreq/scaling_cur_freq")),
        celsius=max(celsius, default=None),
        throttled=_throttled(pi_flags),
        throttle_counts=int(sum(count for _, count in _by_core(files, "thermal_throttle/package_throttle_count"))),
        joules=sum(joules) if joules else None,
        watts=sum(watts) if watts else None,
    )


def _throttled(flags: str) -> str:
    """The words for the bits that a Raspberry Pi sets while it slows itself down."""
    try:
        bits = int(flags.removeprefix("0x"), 16)
    except ValueError:
        return ""
    now = (
        (1, "its power supply is too weak"),
        (2, "its frequency is capped"),
        (4, "it is throttled"),
        (8, "it is hot"),
    )
    return ", ".join(words for bit, words in now if bits & bit)


def _by_core(files: Mapping[str, str], file: str) -> list[tuple[int, float]]:
    """The number in ``file`` of each core that has it, by the core's number."""
    cores = {name: core for name in files if (core := CORE.match(name)) is not None and name.endswith(f"/{file}")}
    return sorted((int(core[1]), value) for name, core in cores.items() for value in _number(files[name]))


def _numbers(files: Mapping[str, str], folder: str, file: str) -> list[float]:
    """The number in each file called so, however deep in the folder."""
    return [
        value
        for name, body in files.items()
        if name.startswith(folder) and name.endswith(file)
        for value in _number(body)
    ]


def _number(text: str) -> list[float]:
    """A whole number, if it is one."""
    match = re.fullmatch(r"-?[0-9]{1,15}", text.strip())
    return [float(match[0])] if match else []


def _free(table: str) -> int | None:
    rows = table.strip().splitlines()
    columns = rows[-1].split() if rows else []
    return int(columns[3]) * 1024 if len(columns) >= 6 and re.fullmatch(r"\d{1,15}", columns[3]) else None


def _plain(text: str) -> str:
    return PLAIN.sub(" ", text).strip()[:2000]
