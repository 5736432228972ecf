"""`bnnt` on a board, from the first check to the last trace removed; the board is an sshd on this machine."""

import json
import shutil
import sys

import numpy as np
import pytest

from bnn_toolchain.converters import onnx
from tests.cli.command import bnnt, refused
from tests.runtime.board import contents, start_board, stop_board
from tests.runtime.networks import small_graph
from tests.tools import needs_qemu, needs_sshd

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    board = start_board(tmp_path_factory.mktemp("board") / "board")
    board.name("pi", python=sys.executable)
    board.name("arm", runner="qemu-aarch64-static -cpu cortex-a72", folder=str(board.folder / "arm-work"))
    yield board
    stop_board(board)


def test_list(board):
    process = bnnt("device", "list", **board.environment)
    assert process.returncode == 0 and "pi" in process.stdout and "qemu-aarch64-static" in process.stdout
    assert set(json.loads(bnnt("device", "list", "--json", **board.environment).stdout)) == {"pi", "arm"}
    process = bnnt("device", "list", BNNT_DEVICES=str(board.folder / "none.toml"))
    assert process.returncode == 0 and f"to {board.folder / 'none.toml'}" in process.stdout


@needs_qemu
def test_from_the_first_check_to_the_last_trace(work, board):
    """The bundle has a target for cortex-a72 and one for this machine; each board gets its own."""
    before = contents(board.folder)
    for name, kernels in (("pi", ""), ("arm", "neon")):
        process = bnnt("device", "check", name, **board.environment)
        assert process.returncode == 0, process.stdout + process.stderr
        assert "native engine" in process.stdout
        process = bnnt("validate", "bundle", "--on", name, "--json", cwd=work, **board.environment)
        assert process.returncode == 0, process.stderr
        assert f"{name}: all 100 golden images agree" in process.stderr
        (row,) = json.loads(process.stdout)
        assert row["device"] == name and row["images"] == row["predictions_equal"] == row["logits_equal"] == 1000
        assert row["hidden_images"] == 1000 and row["correct"] > 500
        process = bnnt("bench", "bundle", "--on", name, "--json", cwd=work, **board.environment)
        assert process.returncode == 0, process.stderr
        found = json.loads(process.stdout)
        assert found["machine"]["device"] == name and found["machine"]["emulated"] is (name == "arm")
        if name == "arm":
            assert not any(node["macs_per_cycle"] for node in found["profile"])
        assert kernels in found["timings"][0]["version"] and found["timings"][0]["runs"] >= 50
    process = bnnt("bench", "bundle", "--on", "arm", cwd=work, **board.environment)
    assert "bundle on arm, EMULATED" in process.stdout and "warning: arm is an emulator" in process.stdout
    for name in ("pi", "arm"):
        process = bnnt("device", "clean", name, **board.environment)
        assert process.returncode == 0 and "is removed" in process.stdout
        assert "there was no" in bnnt("device", "clean", name, **board.environment).stdout
    assert contents(board.folder) == before and not board.sessions()


def test_a_bundle_made_without_the_device_in_mind(work, board):
    """A .onnx file has no target at all; a program for the device is built and sent."""
    process = bnnt("validate", "bundle/model.onnx", "--on", "pi", "--samples", "20", cwd=work, **board.environment)
    assert process.returncode == 0 and "20 of 20" in process.stdout, process.stderr


def test_stock_onnxruntime_there(work, board):
    options = ("--on", "pi", "--engine", "onnxruntime", "--samples", "50", "--json")
    process = bnnt("validate", "bundle", *options, cwd=work, **board.environment)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads(process.stdout)
    assert (row["engine"], row["predictions_equal"], row["logits_equal"]) == ("onnxruntime", 50, 50)
    refused(
        bnnt("validate", "bundle", "--on", "arm", "--engine", "torch", cwd=work, **board.environment), 2, "not torch"
    )


def test_the_same_bundle_twice_and_a_slower_one(work, board, tmp_path):
    """Twice the same is not told apart; five times the work is."""
    graph = small_graph()
    onnx.save(graph, tmp_path / "small.onnx")
    for out, model in (("a", "bundle"), ("b", "bundle"), ("c", "small.onnx")):
        if model == "bundle":
            shutil.copy(work / "bundle" / "model.onnx", tmp_path / "model.onnx")
            model = "model.onnx"
        process = bnnt("bench", model, "--on", "pi", "--json", cwd=tmp_path, **board.environment)
        assert process.returncode == 0, process.stderr
        (tmp_path / out).write_text(process.stdout)
    process = bnnt("bench", "--compare", "a", "b", cwd=tmp_path)
    assert process.returncode == 0 and "not distinguishable" in process.stdout, process.stdout
    (row,) = json.loads(bnnt("bench", "--compare", "c", "a", "--json", cwd=tmp_path).stdout)
    assert row["ratio"]["verdict"] == "slower" and np.isfinite(row["ratio"]["value"])
    (row,) = json.loads(bnnt("bench", "--compare", "a", "c", "--json", cwd=tmp_path).stdout)
    assert row["ratio"]["verdict"] == "faster"
    refused(bnnt("bench", "bundle", "--compare", "a", "b", cwd=tmp_path), 2, "takes two files and no model")
    refused(bnnt("bench"), 2, "give a model to time")


def test_what_is_not_there(work, board):
    environment = board.environment
    refused(bnnt("validate", "bundle", "--on", "moon", cwd=work, **environment), 2, "no device is called 'moon'")
    refused(bnnt("device", "check", "ssh://nobody@127.0.0.1:1", **environment), 3, "no ssh server answers there")
    refused(bnnt("validate", "bundle", "--on", "pi", "--samples", "none", cwd=work, **environment), 2, "--samples none")
    hidden = {"PATH": str(board.folder), "BNNT_DEVICES": environment["BNNT_DEVICES"]}
    refused(bnnt("device", "check", "pi", **hidden), 3, "ssh is not installed: apt install openssh-client")
    refused(bnnt("device", "check", "adb", **hidden), 3, "adb is not installed: apt install adb")
