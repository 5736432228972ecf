"""Connections that end at any moment, and commands that are killed: nothing stays at work on the device."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from bnn_toolchain.errors import Unavailable
from bnn_toolchain.runtime.devices.device import open_device
from tests.runtime.board import contents, shell_program, wait_for


def test_a_connection_that_is_cut_at_any_moment(board, tmp_path):
    """30 times: whatever was going on there ends, nothing is left outside the folder, and the next call works."""
    outside = contents(board.folder)
    model = tmp_path / "model"
    program = shell_program(tmp_path, "sleep 0.3 & wait; wc -c < model")
    moments = random.Random(0)
    cut = 0
    for turn in range(30):
        model.write_bytes(turn.to_bytes(4, "little") * 500_000)
        after = moments.uniform(0, 1.2)

        def pull(after=after):
            time.sleep(after)
            board.cut()

        thread = threading.Thread(target=pull)
        thread.start()
        try:
            with open_device("pi") as opened:
                for _ in range(3):
                    assert opened.run(program, (), {"model": model}, {}).strip() == b"2000000"
        except Unavailable as error:
            cut += 1
            assert error.exit_code == 3
        thread.join()
        wait_for(lambda: not board.sessions())
    assert cut >= 10
    with open_device("pi") as opened:
        assert opened.run(program, (), {"model": model}, {}).strip() == b"2000000"
    wait_for(lambda: not board.sessions())
    assert not [name for name in contents(board.work) if not name.startswith(("files", "bnnt-device"))]
    assert [name for name in contents(board.folder) if not name.startswith("work")] == outside


def test_a_command_that_is_killed_leaves_nothing_at_work(board, tmp_path):
    program = shell_program(tmp_path, f"echo $$ > {tmp_path}/number; exec sleep 1000")
    code = (
        "import sys; from pathlib import Path\n"
        "from bnn_toolchain.runtime.devices.device import open_device\n"
        f"with open_device('pi') as d: d.run(Path({str(program)!r}), (), {{}}, {{}})\n"
    )
    for how in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: (tmp_path / "number").exists() and (tmp_path / "number").read_text())
        number = int((tmp_path / "number").read_text())
        os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
        process.wait()
        wait_for(lambda number=number: not Path(f"/proc/{number}").exists())
        (tmp_path / "number").unlink()
        wait_for(lambda: not (board.work / "lock").exists())
    with open_device("pi") as opened:
        assert opened.run(shell_program(tmp_path, "echo fine"), (), {}, {}) == b"fine\n"
