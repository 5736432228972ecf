"""A folder that is replaced is the old one or the new one at every moment, whatever ends the process that writes."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from bnn_toolchain.runtime.bundle import whole_folder as module
from bnn_toolchain.runtime.bundle.whole_folder import whole_folder

REPLACE = """
import os, signal, sys
from pathlib import Path
from bnn_toolchain.runtime.bundle.whole_folder import whole_folder

steps = 0

def stop(event, arguments):
    "Die before the step of that number: every call of the system that Python makes is one, or more than one."
    global steps
    steps += 1
    if steps == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(stop)
with whole_folder(Path(sys.argv[1])) as made:
    (made / "sub").mkdir()
    for name in ("a", "b", "sub/c"):
        (made / name).write_text("new")
"""


def replace(path, step):
    return subprocess.run([sys.executable, "-c", REPLACE, str(path), str(step)], capture_output=True, text=True)


def fill(folder, text):
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (folder / name).write_text(text)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


WHOLE = [dict.fromkeys(("a", "b", "sub/c"), text) for text in ("old", "new")]


def test_killed_before_every_step(tmp_path):
    path, seen, left, step = tmp_path / "it", [], 0, 1
    fill(path, "old")
    while replace(path, step).returncode == -signal.SIGKILL:
        seen.append(WHOLE.index(content(path)))  # ValueError: neither the old one nor the new one
        left += len(list(tmp_path.iterdir())) == 2
        for file in ("a", "b", "sub/c"):
            (path / file).write_text("old")
        step += 1
    assert seen.count(0) > 20 and seen.count(1) > 3 and left > 20
    assert content(path) == WHOLE[1] and list(tmp_path.iterdir()) == [path]  # the last ended, and cleaned up


def test_a_new_name_killed_before_every_step(tmp_path):
    step = 1
    while replace(tmp_path / str(step), step).returncode == -signal.SIGKILL:
        assert not (tmp_path / str(step)).exists() or content(tmp_path / str(step)) == WHOLE[1]
        step += 1
    assert step > 20 and content(tmp_path / str(step)) == WHOLE[1]


def test_a_block_that_fails_changes_nothing(tmp_path):
    fill(tmp_path / "it", "old")
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "it") as made:
        fill(made / "more", "new")
        raise KeyboardInterrupt
    assert content(tmp_path / "it") == WHOLE[0] and [each.name for each in tmp_path.iterdir()] == ["it"]


def test_only_what_a_killed_process_left_is_removed(tmp_path):
    abandoned, busy = tmp_path / ".it.bnnt-abcd_123", tmp_path / ".it.bnnt-00000000"
    others = [tmp_path / name for name in (".it.bnnt-mine", ".its.bnnt-abcd_123", ".it.abcd_123", "it.bnnt-abcd_123")]
    for folder in (abandoned, busy, *others):
        fill(folder, "old")
    (tmp_path / ".it.bnnt-link0000").symlink_to(others[0])
    lock = os.open(busy, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with whole_folder(tmp_path / "it"):
        pass
    os.close(lock)
    assert not abandoned.exists() and (tmp_path / ".it.bnnt-link0000").is_symlink()
    assert all(content(each) == WHOLE[0] for each in (busy, *others))


def test_a_link_stays_a_link(tmp_path):
    fill(tmp_path / "far" / "it", "old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "it")
    with whole_folder(tmp_path / "link") as made:
        fill(made / "more", "new")
    assert (tmp_path / "link").is_symlink() and content(tmp_path / "far" / "it" / "more") == WHOLE[1]
    assert [each.name for each in (tmp_path / "far").iterdir()] == ["it"]


def test_a_file_system_that_cannot_exchange_two_folders(tmp_path, monkeypatch):
    """The call with flags that no kernel knows is refused as such a file system refuses it."""
    monkeypatch.setattr(module, "RENAME_EXCHANGE", 1 << 20)
    fill(tmp_path / "it", "old")
    with pytest.raises(OSError, match="delete the old one first"), whole_folder(tmp_path / "it") as made:
        fill(made / "more", "new")
    assert content(tmp_path / "it") == WHOLE[0] and [each.name for each in tmp_path.iterdir()] == ["it"]


def test_two_at_once(tmp_path):
    with whole_folder(tmp_path / "it") as one:
        (one / "a").write_text("one")
        with whole_folder(tmp_path / "it") as two:
            (two / "a").write_text("two")
        assert content(tmp_path / "it") == {"a": "two"}
    assert content(tmp_path / "it") == {"a": "one"} and [each.name for each in tmp_path.iterdir()] == ["it"]
