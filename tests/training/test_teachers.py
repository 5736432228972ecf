"""Networks that start from, or learn from, another run."""

import json

import pytest
import torch

from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.recipe import load_recipe
from bnn_toolchain.training.train import train

from .small import write_recipe

FLOAT = ["model.weights=float", "model.activation=relu", "optimizer.lr=0.003"]


@pytest.fixture
def twin(tmp_path):
    path = write_recipe(tmp_path)
    summary = train(load_recipe(str(path), FLOAT), tmp_path / "twin")
    assert summary.test_accuracy > 0.9
    return path, tmp_path / "twin"


def test_a_network_starts_from_its_float_twin(twin, tmp_path):
    path, run = twin
    still = [f"init_from={run}", "optimizer.lr=1e-30", "batch_norm_momentum=0", "epochs=1"]
    train(load_recipe(str(path), still), tmp_path / "same")
    found, expected = load_run(tmp_path / "same").model.state_dict(), load_run(run).model.state_dict()
    for name, value in expected.items():
        if "num_batches" not in name:
            torch.testing.assert_close(found[name], value.clamp(-1, 1) if name == "1.weight" else value)
    with pytest.raises(FileFormatError, match="is of another network"):
        train(load_recipe(str(path), [f"init_from={run}", "model.hidden=16"]), tmp_path / "other")


def test_a_teacher_changes_what_is_learnt(twin, tmp_path):
    path, run = twin
    distilled = [f"distillation.teacher={run}", "distillation.temperature=2", "epochs=8"]
    summary = train(load_recipe(str(path), distilled), tmp_path / "taught")
    assert summary.test_accuracy > 0.8  # of four classes
    train(load_recipe(str(path), ["epochs=8"]), tmp_path / "alone")
    first, second = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("taught", "alone"))
    assert json.loads(first.splitlines()[0])["loss"] != json.loads(second.splitlines()[0])["loss"]


def test_teachers_that_do_not_fit(twin, tmp_path):
    path, run = twin
    with pytest.raises(FileFormatError, match="not a run folder"):
        train(load_recipe(str(path), [f"distillation.teacher={tmp_path / 'none'}"]), tmp_path / "a")
    with pytest.raises(UsageError, match="was trained on other images"):
        train(load_recipe(str(path), [f"distillation.teacher={run}", "data.offset=0"]), tmp_path / "b")
