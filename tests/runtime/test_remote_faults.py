"""What can be wrong with a device: each has a message with a remedy, and exit code 3."""

import subprocess
import time
from pathlib import Path

import pytest

from bnn_toolchain.errors import BnntError, Unavailable, UsageError
from bnn_toolchain.runtime.devices import remote
from bnn_toolchain.runtime.devices.check import check_device
from bnn_toolchain.runtime.devices.device import open_device
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import host_target
from tests.runtime.board import contents, shell_program


def fails(name, words):
    """Opening the device fails so, with the exit code of a device that is not there."""
    with pytest.raises(BnntError, match=words) as failure, open_device(name):
        pass
    assert failure.value.exit_code == 3


def other_key(board):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", board.folder / "other"], check=True)
    return (board.folder / "other.pub").read_text()


def test_the_wrong_host_key(board):
    (board.folder / "known_hosts").write_text(f"[127.0.0.1]:{board.port} {other_key(board)}")
    fails("pi", "its host key is not the one that you know.*ssh-keygen -R")


def test_an_unknown_host_key(board):
    (board.folder / "known_hosts").write_text("")
    fails("pi", "its host key is not known here: connect once by hand")
    assert (board.folder / "known_hosts").read_text() == ""


def test_the_wrong_key(board):
    (board.folder / "authorized_keys").write_text(other_key(board))
    fails("pi", "it takes none of your keys: ssh-copy-id")


def test_a_host_that_is_down(board):
    board.configure("Port 1")
    fails("pi", "no ssh server answers there")
    fails("ssh://nobody@127.0.0.1:1", "no ssh server answers there")


def test_a_host_that_nobody_knows(board):
    board.configure("HostName nowhere.invalid")
    fails("pi", "no such host is known")


@pytest.mark.parametrize(
    "text", ["ssh://-oProxyCommand=x", "ssh://a b", "-oProxyCommand=x", "ssh://h:999999", "adb:-x"]
)
def test_no_address_becomes_an_option(board, phone, text):
    with pytest.raises(UsageError), open_device(text):
        pass


def test_a_phone_that_is_not_there(phone):
    fails("adb:OTHER", "no such device is connected: `adb devices`")
    (phone.parent / "adb-bin" / "unplugged").touch()
    fails("phone", "no device is connected: plug it in")


def test_a_phone_that_is_unplugged_at_work(phone, tmp_path):
    with open_device("phone") as opened:
        (phone.parent / "adb-bin" / "unplugged").touch()
        with pytest.raises(Unavailable, match="no device is connected"):
            opened.run(shell_program(tmp_path, "true"), (), {}, {})
    (phone.parent / "adb-bin" / "unplugged").unlink()
    with open_device("phone") as opened:
        assert opened.run(shell_program(tmp_path, "echo fine"), (), {}, {}) == b"fine\n"


@pytest.fixture
def disk(request, tmp_path):
    """A file system of its own, mounted with the test's options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "bnnt", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"only root may mount a small file system: {done.stderr.strip()}")
        request.addfinalizer(lambda: subprocess.run(["umount", str(folder)], check=True))
        return folder

    return mount


def test_a_disk_that_is_full(board, disk):
    board.name("full", folder=str(disk("size=64k") / "work"))
    with (
        open_device("full") as opened,
        pytest.raises(Unavailable, match="its disk is full: free some space") as failure,
    ):
        opened.run(build(host_target()).program, (), {}, {})
    assert failure.value.exit_code == 3
    with open_device("full"):
        assert contents(Path(opened.folder)) == ["bnnt-device", "files", "lock"]


def test_a_folder_that_cannot_be_written(board, disk):
    board.name("fixed", folder=str(disk("ro") / "work"))
    fails("fixed", "cannot make or enter the folder .*Read-only file system.*: name a folder that can be written")


def test_a_folder_whose_parent_is_missing(board, tmp_path):
    board.name("lost", folder=str(tmp_path / "no" / "work"))
    fails("lost", "make the folder's parent there")


def test_a_folder_where_nothing_may_run(board, disk):
    board.name("noexec", folder=str(disk("noexec") / "work"))
    with open_device("noexec") as opened, pytest.raises(Unavailable, match="is mounted noexec, name another folder"):
        opened.run(build(host_target()).program, (), {}, {})


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("Linux armv7l 6.1.0", "is a armv7l: the native engine runs on x86-64 and 64-bit ARM"),
        ("Darwin arm64 23.1.0", "runs Darwin: the native engine runs on Linux"),
        ("Linux x86_64 2.4.20", "has Linux 2.4.20: bnnt-run needs 2.6.16"),
        ("Linux x86_64 new", "its kernel is 'new': is its uname what it should be"),
        ("Linux", "start-up file"),
    ],
)
def test_a_machine_that_runs_nothing_of_ours(boards, tmp_path, answers, words):
    programs = tmp_path / "fake"
    programs.mkdir()
    lines = "".join(
        f"  {option}) echo {word} ;;\n" for option, word in zip(("-s", "-m", "-r"), answers.split(), strict=False)
    )
    (programs / "uname").write_text(f"#!/bin/sh\ncase $1 in\n{lines}esac\n")
    (programs / "uname").chmod(0o755)
    board = boards(str(programs))
    board.name("pi")
    fails("pi", words)


def test_a_machine_that_is_not_what_it_says(boards, tmp_path):
    if Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists():
        pytest.skip("this machine runs arm64 programs as its own")
    programs = tmp_path / "fake"
    programs.mkdir()
    other = {"x86_64": "aarch64", "arm64": "x86_64"}[host_target().arch]
    (programs / "uname").write_text(f"#!/bin/sh\ncase $1 in -m) echo {other};; *) exec /bin/uname $1;; esac\n")
    (programs / "uname").chmod(0o755)
    boards(str(programs)).name("pi")
    (finding,) = (finding for finding in check_device("pi") if finding.part == "native engine")
    assert not finding.works and "does not run programs for" in finding.remedy


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("yes", "answers without end"),
        ("cat /dev/urandom", "answers without end"),
        ("sleep 100", "gave no answer within 3 seconds"),
        ("true", "start-up file"),
        ('echo Welcome; eval "$SSH_ORIGINAL_COMMAND"', "start-up file there .* It must be silent"),
        ("exit 77", "its shell ended with 77"),
    ],
)
def test_a_server_that_floods_hangs_or_talks(boards, monkeypatch, command, words):
    monkeypatch.setattr(remote.ask, "__kwdefaults__", {**remote.ask.__kwdefaults__, "seconds": 3})
    boards("", f"ForceCommand {command}").name("pi")
    start = time.monotonic()
    fails("pi", words)
    assert time.monotonic() - start < 30
