"""Every operator's file in the oldest onnxruntime and numpy that pyproject.toml allows: the same tests, run there.

They live in a folder of the user's cache, installed once, and stand first on the path, so they hide the new ones.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from bnn_toolchain.runtime.build import cache_folder

ROOT = Path(__file__).parents[2]
TESTS = (
    "converters/test_onnx.py",
    "converters/test_reference.py",
    "runtime/test_engines.py",
    "runtime/test_validate.py",
)


def floors() -> dict[str, str]:
    """The oldest version of each dependency: {"numpy": "1.26", ...}."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return dict(line.split(">=") for line in lines)


@pytest.fixture(scope="module")
def oldest() -> Path:
    """The folder."""
    wheels = [f"{name}=={floors()[name]}" for name in ("onnxruntime", "numpy")]
    python = f"python-{sys.version_info[0]}.{sys.version_info[1]}"
    folder = cache_folder() / "-".join(["oldest", *wheels, python])
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as partial:
            installed = Path(partial, "installed")
            command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", f"--target={installed}", *wheels]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
                pytest.skip(f"{' and '.join(wheels)} cannot be installed for {python}: {reason}")
            installed.rename(folder)
    return folder


def run(oldest: Path, *arguments: str) -> str:
    """What a Python with ``oldest`` first on its path prints; the test fails if it fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(oldest)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_the_oldest_that_runs(oldest):
    found = run(oldest, "-c", "import numpy, onnxruntime as o; print(numpy.__version__, o.__version__)").split()
    assert found == [f"{floors()[name]}.0" for name in ("numpy", "onnxruntime")]


@pytest.mark.parametrize("tests", TESTS)
def test_what_holds_in_the_newest_holds_in_the_oldest(oldest, tests):
    printed = run(oldest, "-m", "pytest", "--numprocesses=0", "-p", "no:cacheprovider", f"tests/{tests}")
    assert re.search(r"\[100%\]", printed) and "SKIPPED" not in printed, printed
