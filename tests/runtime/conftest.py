import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.runtime import adb as stand_in
from tests.runtime.board import start_board, stop_board
from tests.tools import NO_BOARD, has_board


@pytest.fixture
def boards(monkeypatch, tmp_path):
    """Starts boards, and lets this process reach the newest as "board"."""
    if not has_board:
        pytest.skip(NO_BOARD)
    started = []

    def start(path="", *lines):
        board = start_board(tmp_path / f"board-{len(started)}", path, *lines)
        started.append(board)
        for name, value in board.environment.items():
            monkeypatch.setenv(name, value)
        return board

    yield start
    for board in started:
        stop_board(board)


@pytest.fixture
def board(boards):
    """A board, called "pi" in the devices file."""
    board = boards()
    board.name("pi")
    return board


@pytest.fixture
def phone(monkeypatch, tmp_path):
    """The stand-in for adb on the path, and "phone" in the devices file; the value is the folder on the phone."""
    if shutil.which("uname") is None:  # the phone's shell is this machine's
        pytest.skip("uname is not here: apt install coreutils")
    programs = tmp_path / "adb-bin"
    programs.mkdir()
    program = programs / "adb"
    program.write_text(f"#!{sys.executable}\n" + Path(stand_in.__file__).read_text())
    program.chmod(0o755)
    work = tmp_path / "phone-work"
    devices = tmp_path / "phones.toml"
    devices.write_text(f"[phone]\naddress = 'adb:{stand_in.SERIAL}'\nfolder = '{work}'\n")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("BNNT_DEVICES", str(devices))
    return work
