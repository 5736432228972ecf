import copy
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from bnn_toolchain.errors import CheckFailed, FileFormatError, UsageError
from bnn_toolchain.layers import BinaryLinear, Gradient, Sign
from bnn_toolchain.training import checkpoint
from bnn_toolchain.training.config import Training
from bnn_toolchain.training.evaluate import evaluate
from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.metrics import read_epochs
from bnn_toolchain.training.recipe import load_recipe, validate
from bnn_toolchain.training.train import train
from tests.tools import needs_compiler

from .small import splits, write_recipe

torch.set_num_threads(1)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(),
        *(BinaryLinear(64, 32), nn.BatchNorm1d(32), Sign(), nn.Dropout(0.1)),
        *(BinaryLinear(32, 4), nn.BatchNorm1d(4)),
    )


def settings(**fields):
    raw = {"batch_size": 40, "epochs": 3, "optimizer": {"lr": 0.01}, "augment": {"shift": 1}, **fields}
    return validate(raw, Training, "test")


def lines(folder):
    """The metrics without the seconds, which no two runs share."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def same_runs(a, b):
    assert lines(a) == lines(b)
    for which in ("best", "last"):
        first, second = (load_run(path, which, network(9)).model.state_dict() for path in (a, b))
        assert all(torch.equal(first[name], second[name]) for name in first)
    first, second = (json.loads((path / "summary.json").read_text()) for path in (a, b))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_a_module_of_ones_own_learns(tmp_path):
    model, data = network(), splits()
    summary = fit(model, data, settings(epochs=6), tmp_path / "run")
    assert summary.test_accuracy > 0.9
    assert summary.parameters == sum(p.numel() for p in model.parameters())
    records = lines(tmp_path / "run")
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5, 6]
    best = max(records, key=lambda record: record["validation_accuracy"])
    assert (summary.best_epoch, summary.validation_accuracy) == (best["epoch"], best["validation_accuracy"])
    assert records[-1]["loss"] < records[0]["loss"]
    run = load_run(tmp_path / "run", model=network(5))
    assert run.input_spec == data.spec and run.summary == summary and not run.model.training
    images, labels = torch.from_numpy(data.test.images), torch.from_numpy(data.test.labels)
    assert evaluate(run.model, images, labels, data.spec).accuracy == summary.test_accuracy
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in run.model.state_dict().items())


def test_what_an_epoch_records(tmp_path):
    model = network()
    start = {name: model[index].weight.detach().clone() for name, index in (("1", 1), ("5", 5))}
    fit(model, splits(), settings(epochs=1), tmp_path / "run")
    (record,) = lines(tmp_path / "run")
    flips = {
        f"{name}.weight": float(((model[int(name)].weight >= 0) != (before >= 0)).float().mean())
        for name, before in start.items()
    }
    assert record["flip_ratios"] == pytest.approx(flips) and 0 < record["flip_ratio"] < 1
    sizes = {"1.weight": 64 * 32, "5.weight": 32 * 4}
    assert record["flip_ratio"] == pytest.approx(sum(flips[n] * sizes[n] for n in sizes) / sum(sizes.values()))
    data = splits()
    outputs = []
    handle = model[3].register_forward_hook(lambda _m, _i, output: outputs.append(output))
    evaluate(model, torch.from_numpy(data.validation.images), torch.from_numpy(data.validation.labels), data.spec)
    handle.remove()
    assert record["positive_shares"] == {"3": float((outputs[0] == 1).float().mean(dtype=torch.float64))}
    assert record["learning_rate"] == 0.01


def test_the_seed_decides(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(network(), splits(), settings(seed=seed), tmp_path / name)
    same_runs(tmp_path / "a", tmp_path / "b")
    assert lines(tmp_path / "a") != lines(tmp_path / "c")


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    model = network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(model, splits(), settings(epochs=1), tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_stages_follow_one_another(tmp_path):
    model = network()
    training = settings(
        stages=[
            {"activation_gradient": "plain", "latent_clip": False, "optimizer": {"lr": 0.5}},
            {"epochs": 1, "optimizer": {"lr": 1e-6}, "batch_norm_momentum": 0},
        ]
    )
    fit(model, splits(), training, tmp_path / "run")
    records = lines(tmp_path / "run")
    assert [(r["stage"], r["learning_rate"]) for r in records] == [(0, 0.5)] * 3 + [(1, 1e-6)]
    assert model[3].gradient is Gradient.CLIPPED
    last = load_run(tmp_path / "run", "last", network()).model
    assert float(last[1].weight.detach().abs().max()) <= 1  # the clip of the second stage


def test_frozen_statistics_do_not_move(tmp_path):
    model = network()
    fit(model, splits(), settings(epochs=2, batch_norm_momentum=0), tmp_path / "run")
    assert torch.equal(model[2].running_mean, torch.zeros(32)) and torch.equal(model[2].running_var, torch.ones(32))


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, monkeypatch):
    stages = [{"epochs": 2}, {"epochs": 3, "optimizer": {"lr": 0.002}}]
    fit(network(), splits(), settings(stages=stages), tmp_path / "whole")

    class Stop(Exception):
        pass

    calls = 0

    def stopping(module, *_):
        nonlocal calls
        calls += module.training
        if calls == 34:  # after a trial, nine steps an epoch: in the fourth, the second of stage 1
            raise Stop

    model = network()
    handle = model.register_forward_pre_hook(stopping)
    with pytest.raises(Stop):
        fit(model, splits(), settings(stages=stages), tmp_path / "cut")
    handle.remove()
    assert len(lines(tmp_path / "cut")) == 3
    fit(network(7), splits(), settings(stages=stages), tmp_path / "cut", resume=True)
    same_runs(tmp_path / "whole", tmp_path / "cut")


SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from bnn_toolchain.training.recipe import load_recipe
from bnn_toolchain.training.train import train
train(load_recipe(sys.argv[1]), Path(sys.argv[2]), resume="--resume" in sys.argv)
"""


INTERRUPTED = """
import signal
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

batches = 0


def interrupt(module, _inputs):
    global batches
    batches += module.training and isinstance(module, nn.Flatten)
    if batches == 22:  # of 9 an epoch: in the middle of the third
        signal.raise_signal(signal.{name})


signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
register_module_forward_pre_hook(interrupt)
"""


def trained(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_kill_9_in_the_middle_of_an_epoch(tmp_path):
    path = write_recipe(tmp_path, epochs=6, model={"name": "mlp", "hidden": 256, "depth": 3})
    killed = trained(INTERRUPTED.format(name="SIGKILL") + SCRIPT, path, tmp_path / "cut")
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "cut" / "summary.json").exists()
    assert len(lines(tmp_path / "cut")) == 2
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 99, "sta')  # as if the kill had come while a line was written
    assert "epoch   6/6" in trained(SCRIPT, path, tmp_path / "cut", "--resume").stderr
    train(load_recipe(str(path)), tmp_path / "whole")
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    for which in ("best", "last"):
        a, b = (load_run(tmp_path / name, which).model.state_dict() for name in ("cut", "whole"))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    path = write_recipe(tmp_path)
    stopped = trained(INTERRUPTED.format(name="SIGINT") + SCRIPT, path, tmp_path / "cut")
    assert stopped.returncode == -signal.SIGINT and "KeyboardInterrupt" in stopped.stderr
    assert f"2 epochs are kept in {tmp_path / 'cut'}" in stopped.stderr and "--resume goes on" in stopped.stderr
    assert len(lines(tmp_path / "cut")) == 2


def test_a_finished_run_is_not_repeated(tmp_path):
    summary = fit(network(), splits(), settings(), tmp_path / "run")
    model = network(3)
    assert fit(model, splits(), settings(), tmp_path / "run", resume=True) == summary
    assert torch.equal(model[1].weight, load_run(tmp_path / "run", model=network()).model[1].weight)


def test_folders_that_may_not_be_used(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(UsageError, match="holds no run to go on with"):
        fit(network(), splits(), settings(), run, resume=True)
    fit(network(), splits(), settings(epochs=1), run)
    with pytest.raises(UsageError, match="holds a run already: --resume"):
        fit(network(), splits(), settings(epochs=1), run)
    with pytest.raises(UsageError, match=r"is another run, with stages\.0\.epochs=1 instead of 2"):
        fit(network(), splits(), settings(epochs=2), run, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(UsageError, match="is not empty"):
        fit(network(), splits(), settings(), tmp_path / "other")
    with pytest.raises(UsageError, match="cannot use"):
        fit(network(), splits(), settings(), tmp_path / "other" / "file")


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_best(tmp_path):
    class Breaking(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.steps = network(), 0

        def forward(self, x):
            self.steps += self.training
            return self.body(x) * (float("nan") if self.steps > 12 else 1.0)

    with pytest.raises(
        CheckFailed, match=r"the loss is nan in epoch 2, step 4: lower optimizer\.lr .* epoch 1 is kept"
    ):
        fit(Breaking(), splits(), settings(), tmp_path / "run")
    assert load_run(tmp_path / "run", model=Breaking()).summary is None


def test_too_large_a_batch(tmp_path):
    with pytest.raises(UsageError, match="batch_size 500: there are only 360"):
        fit(network(), splits(), settings(batch_size=500), tmp_path / "run")


def test_a_float_network_trains_too(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
    summary = fit(model, splits(), settings(loss="cross_entropy", optimizer={"lr": 0.003}), tmp_path / "run")
    assert summary.test_accuracy > 0.8
    assert lines(tmp_path / "run")[0]["flip_ratio"] == 0


def test_damaged_run_folders(tmp_path):
    path = write_recipe(tmp_path, epochs=1)
    folder = tmp_path / "run"
    train(load_recipe(str(path)), folder)
    assert isinstance(load_run(folder).model, nn.Module)
    for name in ("best.safetensors", "input.json", "recipe.yaml", "summary.json"):
        whole = (folder / name).read_bytes()
        for content in (whole[: len(whole) // 2], b"foreign", b"", b"[" * 100_000, b"\xff"):
            (folder / name).write_bytes(content)
            with pytest.raises(FileFormatError, match=name if name != "recipe.yaml" else "not a run folder"):
                load_run(folder)
        (folder / name).write_bytes(whole)
    with pytest.raises(FileFormatError, match="not a run folder"):
        load_run(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "many"}, r"summary\.json holds what bnnt did not write there: epochs: Input should be a valid int"),
        ({"seconds": None}, r"summary\.json holds .*: seconds: Input should be a valid number"),
    ],
)
def test_a_summary_with_wrong_types(tmp_path, change, message):
    folder = tmp_path / "run"
    train(load_recipe(str(write_recipe(tmp_path, epochs=1))), folder)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | change))
    with pytest.raises(FileFormatError, match=message):
        load_run(folder)


@pytest.mark.parametrize(
    "line", [b"{}", b"[1]", b"nonsense", b"\xff", b"9" * 5000, b"[" * 5000, b'{"epoch": "1"}', b'{"epoch": NaN}']
)
def test_lines_that_are_no_epochs(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_bytes(line + b"\n")
    with pytest.raises(FileFormatError, match=r"metrics\.jsonl holds what bnnt did not write there"):
        read_epochs(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("progress", ['{"epoch": "one"}', '{"epoch": [1]}', "[", "null"])
def test_a_checkpoint_that_does_not_say_where_the_run_stands(tmp_path, progress):
    model, path = network(), tmp_path / "last.safetensors"
    path.write_bytes(save(model.state_dict(), {"bnnt": progress}))
    with pytest.raises(FileFormatError, match=r"last\.safetensors is not a whole checkpoint of bnnt"):
        checkpoint.read(path)


def test_a_checkpoint_of_another_network(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, hidden in ((first, 32), (second, 16)):
        folder.mkdir()
        train(load_recipe(str(write_recipe(folder, epochs=1)), [f"model.hidden={hidden}"]), folder / "run")
    (first / "run" / "best.safetensors").write_bytes((second / "run" / "best.safetensors").read_bytes())
    with pytest.raises(FileFormatError, match=r"best\.safetensors is of another network"):
        load_run(first / "run")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    path = write_recipe(tmp_path, epochs=2, model={"name": "mlp", "hidden": 256, "depth": 3})
    # the model alone fits below the limit, the model with its optimizer does not
    limit = "import resource, signal\nresource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    ignore = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    result = trained(f"{limit}\n{ignore}\n{SCRIPT}", path, tmp_path / "run")
    assert "OSError: [Errno 27] File too large: " in result.stderr and "last.safetensors" in result.stderr
    names = {each.name for each in (tmp_path / "run").iterdir()}
    whole = {"best.safetensors", "events.out.tfevents.bnnt", "last.safetensors", "metrics.jsonl"}
    assert names == {*whole, "data.json", "input.json", "recipe.yaml"}  # and no half-written file
    assert train(load_recipe(str(path)), tmp_path / "run", resume=True) is not None
    train(load_recipe(str(path)), tmp_path / "whole")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


def test_metrics_are_numbers(tmp_path):
    fit(network(), splits(), settings(epochs=2), tmp_path / "run")
    for record in lines(tmp_path / "run"):
        assert all(np.isfinite(record[key]) for key in ("loss", "accuracy", "validation_accuracy", "flip_ratio"))


@needs_compiler
def test_a_compiled_step_learns_the_same(tmp_path):
    model = nn.Sequential(nn.Flatten(), BinaryLinear(64, 32), nn.BatchNorm1d(32), Sign(), BinaryLinear(32, 4))
    for name, compiled in (("eager", False), ("compiled", True)):
        torch.manual_seed(0)
        fit(copy.deepcopy(model), splits(), settings(epochs=1, compile=compiled, precision="fp32"), tmp_path / name)
    first, second = (lines(tmp_path / name)[0] for name in ("eager", "compiled"))
    assert second["loss"] == pytest.approx(first["loss"], rel=0.02)  # sums in another order, and signs that follow
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_no_compiler_is_named(tmp_path):
    path = write_recipe(tmp_path, compile=True)
    environment = {**os.environ, "CXX": "/nonexistent", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", SCRIPT, str(path), str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "errors.Unavailable: torch.compile failed: " in result.stderr
    assert "install g++ or another C++ compiler, or leave compile out" in result.stderr
