"""A network trained on real digits, exported, and asked on every engine: the exported model is the trained one."""

import shutil

import pytest
import torch

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.rounding import LAST_BITS
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.runtime.bundle.format import open_bundle
from bnn_toolchain.runtime.bundle.source import run_folder, source_of
from bnn_toolchain.runtime.checks.validate import validate
from bnn_toolchain.runtime.contenders import bundle_contender
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.export import TestImages, export_bundle
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.recipe import load_recipe
from bnn_toolchain.training.train import train

RECIPE = """
data: {source: mnist5k}
model: {name: vgg, stages: [[16], [24]], dense: [40]}
batch_size: 100
epochs: 1
optimizer: {lr: 1.0e-2}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a run and the bundle exported from it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    (folder / "recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(str(folder / "recipe.yaml"), [])
    train(recipe, folder / "run")
    trained, test = load_run(folder / "run"), load_splits(recipe.data).test
    export_bundle(
        convert(trained.model, trained.input_spec),
        folder / "bundle",
        test=TestImages("mnist5k", test.images, test.labels),
        source=source_of(folder / "run", folder / "bundle"),
    )
    return folder


@pytest.fixture
def moved(work, tmp_path):
    """The same folder elsewhere, to damage."""
    return shutil.copytree(work, tmp_path / "moved")


def test_every_engine_agrees_and_has_the_runs_accuracy(moved):
    bundle = open_bundle(moved / "bundle")
    test = load_splits(load_recipe(str(moved / "recipe.yaml"), []).data).test
    contenders = [
        bundle_contender(bundle, engine, Local()) for engine in ("native", "onnxruntime", "torch", "reference")
    ]
    report = validate(bundle.graph, contenders, test.images, test.labels)
    report.check()
    accuracy = load_run(moved / "run").summary.test_accuracy
    assert accuracy > 0.5 and bundle.manifest.accuracy.value == pytest.approx(accuracy, abs=1e-12)
    for row in report.rows:
        assert (row.images, row.predictions_equal, row.correct) == (1000, 1000, bundle.manifest.accuracy.correct)
        assert row.contract.exact_bits and not any(layer.images_differing for layer in row.hidden)
        assert row.contract.logits == (LAST_BITS if row.engine == "torch" else 0)
    torch_row = next(row for row in report.rows if row.engine == "torch")
    assert len(torch_row.hidden) == 3 and torch_row.bits_compared == 100 * (16 * 14 * 14 + 24 * 7 * 7 + 40)
    flatten = [node.name for node in bundle.graph.nodes if type(node.op).__name__ == "Flatten"]
    assert list(torch_row.hidden_missing) == flatten


def test_a_run_trained_on_is_not_the_exported_one(moved):
    shutil.copy(moved / "run" / "last.safetensors", moved / "run" / "best.safetensors")
    with pytest.raises(UsageError, match=r"best\.safetensors has changed since .* was exported"):
        bundle_contender(open_bundle(moved / "bundle"), "torch", Local())


def test_a_run_that_is_gone(moved):
    shutil.rmtree(moved / "run")
    bundle = open_bundle(moved / "bundle")
    assert run_folder(bundle) is None
    with pytest.raises(Unavailable, match=r"the manifest names \.\./run, seen from the bundle"):
        bundle_contender(bundle, "torch", Local())
