"""The devices file, and the facts that a device tells."""

import pytest

from bnn_toolchain.errors import FileFormatError, Unavailable
from bnn_toolchain.runtime.devices import scripts
from bnn_toolchain.runtime.devices.facts import read_facts
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.named import NamedDevice, devices_file, named_devices
from bnn_toolchain.runtime.targets.arm import GENERIC, oldest


@pytest.fixture
def write(monkeypatch, tmp_path):
    path = tmp_path / "devices.toml"
    monkeypatch.setenv("BNNT_DEVICES", str(path))
    return path.write_text


def test_no_file_names_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv("BNNT_DEVICES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert devices_file() == tmp_path / "bnnt" / "devices.toml" and named_devices() == {}


def test_names(write):
    write(
        '[pi]\naddress = "ssh://pi@h:2222"\nfolder = "/srv/it"\n[box]\naddress = "adb"\nrunner = "x"\narch = "arm64"\n'
    )
    assert named_devices() == {
        "pi": NamedDevice(address="ssh://pi@h:2222", folder="/srv/it"),
        "box": NamedDevice(address="adb", runner="x", arch="arm64"),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pi", "is no TOML"),
        ("[pi]", "pi.address: Field required"),
        ("pi = 3", "pi: .*should be"),
        ('[pi]\naddress = "a\\nb"', "pi.address: .*one line of printable text"),
        ('[pi]\naddress = ""', "pi.address: .*one line"),
        ('[pi]\naddress = "h"\nport = 3', "pi.port: Extra inputs"),
        ('[pi]\naddress = "h"\narch = "mips"', "pi.arch"),
        ('[local]\naddress = "h"', "'local' cannot be a device's name"),
        ('["a b"]\naddress = "h"', "'a b' cannot be a device's name"),
        ("[" * 100_000, "is no TOML"),
        ("#" * (1 << 20) + "#", "has more than"),
    ],
)
def test_a_file_that_is_none(write, text, words):
    write(text)
    with pytest.raises(FileFormatError, match=words):
        named_devices()


PI = """facts
Linux
aarch64
6.1.21-v8+
== /proc/cpuinfo
processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08

processor\t: 1
CPU implementer\t: 0x41
CPU part\t: 0xd03

processor\t: 2
CPU implementer\t: 0x41
CPU part\t: 0xd03

Serial\t\t: 10
== /proc/meminfo
MemTotal:        3884360 kB
MemAvailable:    3000000 kB

== /proc/device-tree/model
Raspberry Pi 4 Model B Rev 1.4\0
== /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
ondemand

== /sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq
1800000

== /sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq
600000

== /sys/class/thermal/thermal_zone0/temp
61341

== /sys/class/hwmon/hwmon3/power1_input
5250000

== page
KernelPageSize:        4 kB
== free
Filesystem 1024-blocks Used Available Capacity Mounted on
/dev/root 30000000 1000 20000000 1% /
== python
/usr/bin/python3
== throttled
throttled=0x50005
== end
"""


def test_the_facts_of_a_board():
    facts = read_facts(PI.encode(), "pi")
    assert (facts.system, facts.machine, facts.kernel, facts.arch) == ("Linux", "aarch64", "6.1.21-v8+", "arm64")
    assert facts.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert [core.name for core in facts.cores] == ["cortex-a72", "cortex-a53", "cortex-a53"]
    assert facts.clusters == {"cortex-a53": (1, 2), "cortex-a72": (0,)}
    assert facts.cores[0].hertz == 1.8e9 and "asimd" in facts.features
    assert (facts.page_bytes, facts.memory_bytes, facts.free_bytes) == (4096, 3884360 * 1024, 20480000000)
    assert facts.python == "/usr/bin/python3"
    state = facts.state
    assert (state.governors, state.hertz, state.celsius, state.watts) == (("ondemand",), (6e8,), 61.341, 5.25)
    assert state.throttled == "its power supply is too weak, it is throttled" and state.joules is None


def test_the_facts_of_this_machine():
    facts = read_facts(Local().script(scripts.FACTS), "local")
    assert facts.arch == Local().arch and facts.cores and facts.memory_bytes > 1 << 27
    assert facts.page_bytes in (4096, 16384, 65536) and facts.free_bytes > 0


@pytest.mark.parametrize("cut", range(0, len(PI) - 8, 40))
def test_facts_that_are_cut_off(cut):
    with pytest.raises(Unavailable, match="start-up file"):
        read_facts(PI[:cut].encode(), "pi")


@pytest.mark.parametrize("text", ["\xff" * 1000, "9" * 400, "-1", "0x", "", "\n== x\n", "1e999", "nan", "\u0663"])
def test_facts_that_are_garbage_are_left_out(text):
    lines = []
    for line in PI.splitlines():
        lines.append(line if line.startswith(("facts", "Linux", "aarch64", "6.1", "== ")) else text)
    facts = read_facts("\n".join(lines).encode(), "pi")
    assert facts.cores == () and facts.memory_bytes is None and facts.free_bytes is None
    assert all(abs(value) < 1e18 for value in (*facts.state.hertz, facts.state.celsius or 0, facts.state.watts or 0))
    assert facts.model.isascii() and facts.model.isprintable()


def test_which_build_runs_on_every_core():
    assert oldest(["cortex-a76", "cortex-a55"]) == "cortex-a76" and oldest(["cortex-a72", "cortex-a53"]) == "cortex-a72"
    assert oldest([]) == oldest(["cortex-a76", "implementer 0x61 part 0x022"]) == GENERIC
    assert oldest(["neoverse-v1", "cortex-a53"]) == "cortex-a53"
