"""Devices by name, and what is said when one is not there."""

import pytest

from bnn_toolchain.errors import CheckFailed, Unavailable, UsageError
from bnn_toolchain.runtime.devices import process
from bnn_toolchain.runtime.devices.device import open_device
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.qemu import QEMU, Qemu
from tests.runtime.board import shell_program
from tests.tools import needs_qemu


def test_this_machine():
    with open_device("local") as device:
        assert device == Local() and str(device) == "local" and device.script("echo here") == b"here\n"


@pytest.mark.parametrize("text", ["", "Local", "qemu", "qemu:", "ssh:pi", "local:1", "a\nb", "; true"])
def test_names_that_mean_nothing(text):
    with pytest.raises(UsageError, match="write local, qemu:CPU"), open_device(text):
        pass


def test_qemu_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="apt install qemu-user-static"), open_device("qemu:cortex-a72"):
        pass


@needs_qemu
def test_an_unknown_cpu_lists_the_known_ones():
    with (
        pytest.raises(UsageError, match=r"called 'cortex-a999': choose from .*cortex-a53.*cortex-a72"),
        open_device("qemu:cortex-a999"),
    ):
        pass


@needs_qemu
def test_a_known_cpu():
    with open_device("qemu:cortex-a72") as device:
        assert isinstance(device, Qemu) and device.cpu == "cortex-a72" and device.emulator.endswith(QEMU)


@needs_qemu
def test_a_program_that_cannot_run_is_named(tmp_path):
    program = tmp_path / "bnnt-run"
    program.write_bytes(b"\x7fELF nothing else")
    program.chmod(0o755)
    with open_device("qemu:cortex-a53") as device, pytest.raises(CheckFailed, match="on qemu:cortex-a53 ended with"):
        device.run(program, (), {}, {})


def test_files_are_sent_and_brought_back_by_name(tmp_path):
    """The program sees the names alone, in an empty folder of its own, and ends up nowhere else."""
    (tmp_path / "some images").write_text("one\n")
    program = shell_program(tmp_path, 'echo *; read line < images; echo "$line"; echo "$1" > answer')
    send = {"images": tmp_path / "some images", "more": b"three\n"}
    printed = Local().run(program, ["two"], send, {"answer": tmp_path / "kept"})
    assert printed == b"images more\none\n" and (tmp_path / "kept").read_text() == "two\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bnnt-run", "kept", "some images"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo no memory >&2; exit 2", "bnnt-run on local ended with 2: no memory"),
        ("exit 3", "ended with 3: it gave no reason"),
        ("kill -9 $$", "ended with -9"),
        ("true", "bnnt-run on local left no answer"),
        (
            f"echo > answer; for i in {'x ' * 20}; do echo {'y' * 1_000_000}; done",
            "prints without end: it has more than 16,777,216 bytes",
        ),
        ("while :; do :; done", "did not end within 1 seconds"),
    ],
)
def test_a_program_that_goes_wrong(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr(process, "TIMEOUT", 1)
    with pytest.raises(CheckFailed, match=words):
        Local().run(shell_program(tmp_path, text), (), {}, {"answer": tmp_path / "answer"})


def test_a_program_that_is_none(tmp_path):
    with pytest.raises(CheckFailed, match="on local cannot start: No such file"):
        Local().run(tmp_path / "bnnt-run", (), {}, {})
