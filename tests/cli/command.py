"""Runs `bnnt` as a user does: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def bnnt(
    *arguments: object, cwd: Path | None = None, stdin: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The finished process; nothing is raised for its exit code."""
    command = [sys.executable, "-c", "from bnn_toolchain.cli import main; main()", *map(str, arguments)]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "160"} | environment
    done = subprocess.run(command, capture_output=True, input=stdin or b"", cwd=cwd, env=variables, timeout=600)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(process: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One message with ``words``, the exit code, and no traceback."""
    assert process.returncode == code, process.stderr + process.stdout
    assert "Traceback" not in process.stderr, process.stderr
    for word in words:
        assert word in process.stderr, process.stderr
