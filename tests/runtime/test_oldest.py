"""Every operator's file in the oldest onnxruntime and numpy that pyproject.toml allows: the same tests, run there.

They live in a folder of the user's cache, installed once, and stand first on the path, so they hide the new ones.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from bnn_toolchain.converters.onnx import save
from bnn_toolchain.files import cache_folder
from tests.converters.pinned import convolutional

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


def python(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A Python with ``path`` first on its own, done."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def bnnt(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return python(path, "-c", "from bnn_toolchain.cli import main; main()", *arguments)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    save(convolutional(), path)
    return path


def test_it_is_the_oldest_that_runs(oldest):
    done = python(oldest, "-c", "import numpy, onnxruntime as o; print(numpy.__version__, o.__version__)")
    assert done.stdout.split() == [f"{floors()[name]}.0" for name in ("numpy", "onnxruntime")], done.stderr


@pytest.mark.parametrize("tests", TESTS)
def test_what_holds_in_the_newest_holds_in_the_oldest(oldest, tests):
    done = python(oldest, "-m", "pytest", "--numprocesses=0", "-p", "no:cacheprovider", f"tests/{tests}")
    assert done.returncode == 0 and "[100%]" in done.stdout and "SKIPPED" not in done.stdout, done.stdout + done.stderr


def test_the_command_says_so_too(oldest, model):
    done = bnnt(oldest, "validate", model, "--engine", "onnxruntime", "--engine", "native", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["engine"], row["failures"], row["hidden_missing"]) for row in rows] == [
        ("onnxruntime", [], []),
        ("native", [], []),
    ]
    assert all(row["images_exact"] == row["logits_equal"] == row["images"] for row in rows)


def test_beside_a_numpy_that_it_cannot_bear_it_is_a_message_and_no_crash(oldest, model, tmp_path):
    for part in oldest.glob("onnxruntime*"):
        (tmp_path / part.name).symlink_to(part)
    done = bnnt(tmp_path, "validate", model, "--engine", "onnxruntime")
    assert done.returncode == 3
    assert f"onnxruntime {floors()['onnxruntime']}.0 is made for numpy 1 and crashes beside numpy 2" in done.stderr
    assert "pip install --upgrade onnxruntime" in done.stderr and "Traceback" not in done.stderr
