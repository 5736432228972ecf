"""The environment in which Larq Compute Engine's own interpreter runs: numpy 1.26 and its wheel, nothing else.

The interpreter refuses numpy 2 and everything else here wants it, so it lives in a folder of the user's cache and runs
in a process of its own. Of the wheel only the interpreter is kept: the converter needs TensorFlow and 200 MB.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bnn_toolchain.errors import Unavailable
from bnn_toolchain.files import cache_folder
from bnn_toolchain.progress import Announce, silent

LCE, NUMPY, PYTHON = "0.16.0", "1.26.4", "3.11"
LIBRARY = Path("larq_compute_engine", "tflite", "python", "interpreter_wrapper_lite.so")
SETUP = "bnnt setup lce"
ELSEWHERE = "On the device itself, measure with LCE's own program: lce_benchmark_model --graph=PATH"


def folder() -> Path:
    """Where the environment is or would be: under BNNT_CACHE, else the user's cache."""
    return cache_folder() / f"lce-{LCE}-numpy-{NUMPY}"


def find() -> Path:
    """The environment's folder.

    Raises:
        Unavailable: it was not created yet, or cannot run on this machine.
    """
    interpreter()
    if not Path(folder(), LIBRARY).exists():
        raise Unavailable(f"LCE's interpreter is not installed here: run `{SETUP}` (72 MB in {folder()})")
    return folder()


def interpreter() -> str:
    """The Python that can load LCE's interpreter: this one, or a python3.11 on the path.

    Raises:
        Unavailable: LCE has no wheel for this machine, or there is no such Python.
    """
    machine = platform.machine().lower()
    if machine not in ("x86_64", "amd64"):
        raise Unavailable(f"LCE {LCE} has no Python wheel for {machine}. {ELSEWHERE}")
    here = ".".join(map(str, sys.version_info[:2]))
    python = sys.executable if here == PYTHON else shutil.which(f"python{PYTHON}")
    if not python:
        raise Unavailable(
            f"LCE {LCE} needs Python {PYTHON}, this is {here}: install python{PYTHON} beside it. {ELSEWHERE}"
        )
    return python


def create(announce: Announce = silent) -> Path:
    """Install the environment with this Python's pip, whole or not at all; one that exists is kept.

    Raises:
        Unavailable: no wheel for this machine, no Python that fits, no pip, or an installation that fails.
    """
    interpreter()
    target = folder()
    if Path(target, LIBRARY).exists():
        return target
    announce(f"installing LCE {LCE} and numpy {NUMPY} into {target}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise Unavailable(f"cannot write the cache {target.parent}: {error.strerror}; set BNNT_CACHE") from error
    try:
        _install(partial)
        shutil.rmtree(partial / "larq_compute_engine" / "mlir", ignore_errors=True)
        try:
            partial.rename(target)
        except OSError:
            if not Path(target, LIBRARY).exists():  # another process was faster, or the disk is to blame
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", f"--python-version={PYTHON}", "--no-compile", f"--target={target}"]
    command += [f"numpy=={NUMPY}", f"larq-compute-engine=={LCE}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode or not Path(target, LIBRARY).exists():
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise Unavailable(f"LCE's interpreter cannot be installed: {reason}. Try by hand: {' '.join(command)}")
