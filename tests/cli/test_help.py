import subprocess
import sys

import pytest

from tests.cli.command import bnnt, refused

COMMANDS = (
    "demo",
    "recipes",
    "train",
    "plot",
    "study",
    "inspect",
    "export",
    "validate",
    "bench",
    "predict",
    "report",
    "device",
    "doctor",
    "setup",
)
HEAVY = ("torch", "numpy", "onnx", "onnxruntime", "datasets", "pydantic", "PIL", "matplotlib")


def test_help_imports_nothing_heavy():
    code = "import sys, bnn_toolchain.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_help_lists_every_command():
    process = bnnt("--help")
    assert process.returncode == 0
    assert all(command in process.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_by_an_example(command):
    process = bnnt(command, "--help")
    assert process.returncode == 0
    assert f"bnnt {command}" in process.stdout
    assert "Example" in process.stdout


def test_wrong_usage_exits_with_2():
    assert bnnt("nonsense").returncode == 2
    assert bnnt("export").returncode == 2


def test_a_path_that_is_no_model(tmp_path):
    refused(bnnt("inspect", tmp_path / "nothing"), 2, "nothing does not exist")
    (tmp_path / "notes.txt").write_text("hello")
    refused(bnnt("inspect", tmp_path / "notes.txt"), 2, "notes.txt is not a model")
    refused(bnnt("inspect", tmp_path), 2, "is not a model")


def test_debug_shows_the_traceback(tmp_path):
    process = bnnt("inspect", tmp_path / "nothing", "--debug")
    assert process.returncode == 2
    assert "Traceback" in process.stderr
