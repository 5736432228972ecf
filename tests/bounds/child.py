"""``python -m tests.bounds.child READER WARM FILE…``: what reading each file costs, one line of JSON a file.

Each file is read in a fork of this process, which has imported the reader and read the file WARM: only the file itself
counts. Time is CPU time; memory is the peak of the resident set, above what the process had before.
"""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from bnn_toolchain.errors import BnntError

from .readers import READERS

SECONDS = 30  # before a reader that hangs is ended
SPACE = (
    3 << 30
)  # bytes of address space above those that are taken: a reader that wants more fails here, not the machine
NOTHING = {"seconds": float("inf"), "bytes": float("inf")}  # of a reader that did not end as it should


def memory(key: str) -> int:
    """VmRSS or VmHWM, its peak, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def cost(reader, path: Path) -> dict:
    """The outcome of reading one file, with its seconds and bytes."""
    signal.alarm(SECONDS)
    data = path.read_bytes()
    space = memory("VmSize") + SPACE
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = memory("VmRSS"), time.process_time()
    try:
        reader(data, path)
        outcome = "read"
    except BnntError as error:
        outcome = f"{type(error).__name__}: {error}".replace(f"{path.parent}/", "")
    seconds = time.process_time() - start
    return {"seconds": seconds, "bytes": memory("VmHWM") - before, "outcome": outcome}


def main(name: str, warm: str, *files: str) -> None:
    """Measure every file, one after the other."""
    reader = READERS[name]
    reader(Path(warm).read_bytes(), Path(warm))
    for file in files:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                reader(Path(warm).read_bytes(), Path(warm))  # touches the pages that a fork leaves to be found again
                found = cost(reader, Path(file))
            except BaseException as error:
                found = {**NOTHING, "outcome": f"untyped {type(error).__name__}: {error}"[:300]}
            print(json.dumps(found), flush=True)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            print(json.dumps({**NOTHING, "outcome": f"died: {signal.Signals(-status).name}"}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
