"""Devices that ssh and adb reach: a real sshd on this machine, and a stand-in for the program adb."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from bnn_toolchain.errors import CheckFailed, Unavailable
from bnn_toolchain.runtime.devices import remote, scripts, talk
from bnn_toolchain.runtime.devices.check import check_device
from bnn_toolchain.runtime.devices.device import open_device
from bnn_toolchain.runtime.devices.reach import reach
from bnn_toolchain.runtime.devices.remote import clean
from bnn_toolchain.runtime.targets.target import host_target
from tests.runtime.board import contents, shell_program, wait_for
from tests.tools import needs_qemu

HOSTILE = ("-rf", "$(touch stolen)", "it's", 'a "b"', "; touch stolen", "two words", "`touch stolen`", "&& x", "*", "~")


@pytest.fixture(params=["ssh", "adb"])
def device(request):
    """The name of a device, and the folder where bnnt works on it."""
    if request.param == "ssh":
        return "pi", request.getfixturevalue("board").work
    return "phone", request.getfixturevalue("phone")


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_are_sent_once_and_results_come_back(device, tmp_path):
    name, work = device
    (tmp_path / "model").write_bytes(bytes(range(256)) * 500)
    program = shell_program(tmp_path, 'echo *; wc -c < model; read line < part; echo "$line $1"; cat model > answer')
    told, sent = [], []
    with open_device(name, told.append, lambda done, total: sent.append((done, total))) as opened:
        assert (str(opened), opened.here, opened.emulated, opened.arch) == (name, False, False, host_target().arch)
        for word in ("one", "two"):
            files = {"model": tmp_path / "model", "part": f"{word}\n".encode()}
            printed = opened.run(program, ["x"], files, {"answer": tmp_path / "kept"})
            assert printed.decode().split() == ["model", "part", "128000", word, "x"]
            assert (tmp_path / "kept").read_bytes() == (tmp_path / "model").read_bytes()
    assert told == [f"sending {128_000 + program.stat().st_size:,} bytes to {name}"]
    assert (128_000, 128_000) in sent
    with open_device(name, told.append) as opened:
        opened.run(program, ["x"], files, {"answer": tmp_path / "kept"})
    assert len(told) == 1
    kept = sorted((hash_of(program), hash_of(tmp_path / "model")))
    assert contents(work) == ["bnnt-device", "files", *(f"files/{hash}" for hash in kept)]


def test_a_file_that_was_damaged_there_is_sent_again(device, tmp_path):
    name, work = device
    program = shell_program(tmp_path, "echo fine")
    for _ in range(2):
        with open_device(name) as opened:
            assert opened.run(program, (), {}, {}) == b"fine\n"
        kept = work / "files" / hash_of(program)
        kept.write_bytes(b"#!/bin/sh\necho damaged\n")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("echo no memory >&2; exit 2", CheckFailed, "bnnt-run on .* ended with 2: no memory"),
        ("exit 3", CheckFailed, "ended with 3: it gave no reason"),
        ("kill -9 $$", Unavailable, "was killed there: it has too little memory"),
        ("true", CheckFailed, "left no answer"),
        ("echo 'cannot write answer: the disk is full' >&2; exit 2", Unavailable, "the disk of .* is full"),
    ],
)
def test_a_program_that_goes_wrong(device, tmp_path, text, kind, words):
    with open_device(device[0]) as opened:
        with pytest.raises(kind, match=words):
            opened.run(shell_program(tmp_path, text), (), {}, {"answer": tmp_path / "answer"})
        assert opened.run(shell_program(tmp_path, "echo fine"), (), {}, {}) == b"fine\n"


def test_a_program_that_does_not_end_is_ended(device, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT", 1)
    program = shell_program(tmp_path, f"echo $$ > {tmp_path}/number; while :; do :; done")
    with open_device(device[0]) as opened:
        with pytest.raises(Unavailable, match="gave no answer within 1 seconds"):
            opened.run(program, (), {}, {})
        number = int((tmp_path / "number").read_text())
        wait_for(lambda: not Path(f"/proc/{number}").exists())
        assert opened.run(shell_program(tmp_path, "echo fine"), (), {}, {}) == b"fine\n"


def test_a_program_that_prints_without_end(device, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "RESULTS", 1 << 20)
    with open_device(device[0]) as opened, pytest.raises(Unavailable, match="more than 1,048,576 bytes"):
        opened.run(shell_program(tmp_path, "head -c 3000000 /dev/zero"), (), {}, {})


@pytest.mark.parametrize("name_there", [" ".join(HOSTILE), *HOSTILE[:2]])
def test_no_name_means_anything_to_a_shell(device, tmp_path, name_there):
    """Files here, arguments, and the folder there; "stolen" would be made by a word that runs."""
    name, work = device
    parent = tmp_path / "parent"
    parent.mkdir()
    named = Path(os.environ["BNNT_DEVICES"])
    named.write_text(named.read_text().replace(f"'{work}'", f"'''{parent / name_there}'''"))
    folder = tmp_path / f"here {name_there}"
    folder.mkdir()
    program = shell_program(folder, 'printf "%s|" "$@"')
    with open_device(name) as opened:
        printed = opened.run(program, [*HOSTILE, "a\nb"], {}, {})
        assert printed.decode().split("|") == [*HOSTILE, "a\nb", ""]
        assert {path.name for path in parent.iterdir()} == {name_there}
    with reach(name) as reached:
        assert clean(reached.shell, reached.folder)
    assert not contents(parent)


def test_two_at_once_are_told_apart(device):
    name, work = device
    with (
        open_device(name),
        pytest.raises(Unavailable, match=r"is busy: .+ at .* since .* is at work in"),
        open_device(name),
    ):
        pass  # fmt: skip
    with open_device(name):
        assert (work / "lock").is_file()
        with reach(name) as reached, pytest.raises(Unavailable, match="is busy"):
            clean(reached.shell, reached.folder)
    assert not (work / "lock").exists()


@pytest.mark.parametrize(
    "line",
    ["", "999999999 1 {boot} somebody\n", "1 12345 {boot} somebody\n", "{self} {began} other-boot somebody\n", "\0\0"],
)
def test_a_lock_whose_owner_is_gone_is_taken_over(device, line):
    """Empty, of a process that is gone, of a number that another process has now, of before a restart, garbage."""
    name, work = device
    with open_device(name):
        pass
    (work / "run.old").mkdir()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    began = Path("/proc/self/stat").read_text().split()[21]
    (work / "lock").write_text(line.format(boot=boot, self=os.getpid(), began=began))
    with open_device(name):
        assert "somebody" not in (work / "lock").read_text() and not (work / "run.old").exists()


def test_clean_takes_its_own_folder_and_nothing_else(device):
    name, work = device
    with reach(name) as reached:
        assert not clean(reached.shell, reached.folder)
    with open_device(name):
        pass
    (work / "notes").write_text("mine")
    with reach(name) as reached, pytest.raises(Unavailable):
        clean(reached.shell, reached.folder)
    assert contents(work) == ["notes"]
    with reach(name) as reached, pytest.raises(Unavailable, match="is not one of bnnt's"):
        clean(reached.shell, reached.folder)
    with pytest.raises(Unavailable, match="has other files in it"), open_device(name):
        pass
    assert contents(work) == ["notes"]


def test_check_says_what_is_there(device):
    name, work = device
    findings = {finding.part: finding for finding in check_device(name)}
    assert findings["native engine"].works and findings["native engine"].found == f"runs: {host_target().arch}"
    assert findings["own folder"].found == str(work) and findings["disk"].works
    assert "Linux" in findings["machine"].found and findings["cores"].found and findings["memory"].found


@needs_qemu
def test_a_runner_stands_in_front_of_programs(board, tmp_path):
    board.name("emulated", runner="qemu-aarch64-static -cpu cortex-a72")
    board.name("broken", runner="no-such-qemu-aarch64")
    with open_device("emulated") as opened:
        assert (opened.arch, opened.cpu, opened.emulated) == ("arm64", "cortex-a72", True)
    (finding,) = (finding for finding in check_device("emulated") if finding.part == "native engine")
    assert finding.works and finding.found == "runs: arm64, under qemu-aarch64-static -cpu cortex-a72"
    (finding,) = (finding for finding in check_device("broken") if finding.part == "native engine")
    assert not finding.works and "'no-such-qemu-aarch64' of the devices file cannot run" in finding.remedy


def test_what_talks_too_much_or_too_long_is_stopped():
    with pytest.raises(Unavailable, match="it answers without end: more than 100 bytes"):
        talk.talk(["sh", "-c", "while :; do echo y; done"], "it", limit=100, seconds=10)
    with pytest.raises(Unavailable, match="it gave no answer within 1 seconds"):
        talk.talk(["sh", "-c", "read line"], "it", limit=100, seconds=1)
    with pytest.raises(Unavailable, match="no-such-program cannot start: No such file"):
        talk.talk(["no-such-program"], "it", limit=100, seconds=1)
    answer = talk.talk(
        ["sh", "-c", "read line; echo oops >&2; exit 3"], "it", limit=100, seconds=9, send=Path(os.devnull)
    )
    assert (answer.code, answer.printed, answer.complaint) == (3, b"", "oops")


def test_what_a_device_says_cannot_write_on_the_terminal(device, tmp_path):
    text = "printf '\\033[2J\\033]0;mine\\007gone\\rno\\n' >&2; exit 3"
    with open_device(device[0]) as opened, pytest.raises(CheckFailed) as failure:
        opened.run(shell_program(tmp_path, text), (), {}, {})
    assert all(c.isprintable() or c == "\n" for c in str(failure.value)) and "gone" in str(failure.value)


def test_the_scripts_are_what_any_shell_reads():
    for text in (
        scripts.PREPARE,
        scripts.HOLD,
        scripts.MISSING,
        scripts.KEEP,
        scripts.BEGIN,
        scripts.RUN,
        scripts.CLEAN,
    ):
        subprocess.run(["sh", "-n", "-c", text], check=True)
