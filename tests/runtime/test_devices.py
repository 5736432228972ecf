"""Devices by name, and what is said when one is not there."""

import pytest

from bnn_toolchain.errors import CheckFailed, Unavailable, UsageError
from bnn_toolchain.runtime.devices.device import Local, device_from
from bnn_toolchain.runtime.devices.qemu import QEMU, Qemu
from tests.tools import needs_qemu


def test_this_machine():
    assert device_from("local") == Local() and str(Local()) == "local"


@pytest.mark.parametrize("text", ["", "Local", "qemu", "qemu:", "ssh:pi", "local:1"])
def test_names_that_mean_nothing(text):
    with pytest.raises(UsageError, match="write local, qemu:CPU"):
        device_from(text)


def test_qemu_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="apt install qemu-user-static"):
        device_from("qemu:cortex-a72")


@needs_qemu
def test_an_unknown_cpu_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"called 'cortex-a999': choose from .*cortex-a53.*cortex-a72"):
        device_from("qemu:cortex-a999")


@needs_qemu
def test_a_known_cpu():
    device = device_from("qemu:cortex-a72")
    assert isinstance(device, Qemu) and device.cpu == "cortex-a72" and device.program.endswith(QEMU)


@needs_qemu
def test_a_program_that_cannot_run_is_named(tmp_path):
    program = tmp_path / "bnnt-run"
    program.write_bytes(b"\x7fELF nothing else")
    program.chmod(0o755)
    with pytest.raises(CheckFailed, match="bnnt-run on qemu:cortex-a53 ended with"):
        device_from("qemu:cortex-a53").execute(program, ())
