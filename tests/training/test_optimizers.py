import copy
import json
from typing import get_args

import pytest
import torch
from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear
from bnn_toolchain.training.bop import BopOptimizer
from bnn_toolchain.training.config import Training
from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.optimizers import BETAS, OptimizerName, make_optimizers
from bnn_toolchain.training.recipe import validate

from .small import splits
from .test_fit import lines, network, same_runs, settings


def stage(**fields):
    return validate({"epochs": 1, **fields}, Training, "test").stages[0]


def small():
    torch.manual_seed(0)
    return nn.Sequential(BinaryLinear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))


@pytest.mark.parametrize("name", [name for name in get_args(OptimizerName) if name != "muon"])
def test_every_optimizer_is_torch_s_own(name):
    """Four steps move the parameters as torch's optimizer of that name does with the same settings."""
    config = stage(optimizer={"name": name, "lr": 0.01}, latent_clip=False)
    model = small()
    twin = copy.deepcopy(model)
    ((optimizer, lr),) = make_optimizers(model, config)
    assert lr == 0.01
    own = {
        **{each: {"betas": (0.9, 0.99)} for each in BETAS},
        "rmsprop": {"alpha": 0.99},
        "adadelta": {"rho": 0.99},
    }.get(name, {})
    decay = {} if name == "rprop" else {"weight_decay": 0.0}
    kinds = {each.lower(): each for each in dir(torch.optim)}
    reference = getattr(torch.optim, kinds[name])(twin.parameters(), lr=0.01, **own, **decay)
    x = torch.randn(8, 6)
    for _ in range(4):
        for each, moving in ((model, optimizer), (twin, reference)):
            moving.zero_grad()
            each(x).square().sum().backward()
            moving.step()
    for found, expected in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(model[0].weight, small()[0].weight)


def test_muon_moves_dense_binary_weights_as_torch_s_own():
    config = stage(optimizer={"name": "muon", "lr": 0.01}, real_optimizer={"lr": 0.01}, latent_clip=False)
    model = small()
    twin = copy.deepcopy(model)
    (muon, _), (_, _) = make_optimizers(model, config)
    reference = torch.optim.Muon([twin[0].weight], lr=0.01, weight_decay=0.0, momentum=0.95)
    x = torch.randn(8, 6)
    for _ in range(3):
        for each, moving in ((model, muon), (twin, reference)):
            moving.zero_grad()
            each(x).square().sum().backward()
            moving.step()
    assert torch.equal(model[0].weight, twin[0].weight) and not torch.equal(model[0].weight, small()[0].weight)


def test_muon_names_what_it_cannot_move():
    with pytest.raises(UsageError, match=r"cannot move 1\.weight \[5\], 1\.bias \[5\], 2\.bias \[2\]"):
        make_optimizers(small(), stage(optimizer={"name": "muon", "lr": 0.01}))
    with pytest.raises(UsageError, match=r"cannot move 0\.weight \[2, 1, 3, 3\].* binary convolutions"):
        config = stage(optimizer={"name": "muon", "lr": 0.01}, real_optimizer={"lr": 0.01})
        make_optimizers(nn.Sequential(BinaryConv2d(1, 2, 3)), config)


@pytest.mark.parametrize(
    ("name", "where"), [("adam", "betas"), ("adamax", "betas"), ("rmsprop", "alpha"), ("adadelta", "rho")]
)
def test_the_second_moment_s_decay_is_one_field(name, where):
    ((optimizer, _),) = make_optimizers(small(), stage(optimizer={"name": name, "lr": 0.01, "beta2": 0.75}))
    found = optimizer.param_groups[0][where]
    assert (found[1] if where == "betas" else found) == 0.75


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": {"name": "sgd", "lr": 0.1, "beta2": 0.9}}, r"sgd has no decay of a second moment"),
        ({"optimizer": {"name": "adagrad", "lr": 0.1, "beta2": 0.9}}, r"adagrad has no decay of a second moment"),
        ({"optimizer": {"name": "adadelta", "lr": 0.1, "momentum": 0.9}}, r"adadelta has no decay of a first moment"),
        ({"optimizer": {"name": "adam", "lr": 0.1, "beta2": 1}}, r"optimizer\.beta2: Input should be less than 1"),
        ({"optimizer": {"name": "adam", "lr": 0.1, "beta2": -0.1}}, r"optimizer\.beta2: Input should be greater"),
        ({"optimizer": {"name": "lbfgs", "lr": 0.1}}, r"optimizer\.name: Input should be 'adam'"),
        ({"optimizer": {"name": "bop", "lr": 0.1}}, r"bop has no latent weights to clip: set latent_clip to false"),
        ({"optimizer": {"name": "bop", "lr": 0.1}, "latent_clip": False}, r"give a real_optimizer"),
        ({"optimizer": {"name": "bop", "lr": 0.1, "beta2": 0.9}}, r"optimizer\.beta2: no field of bop"),
        ({"optimizer": {"lr": 0.1}, "epochs": None}, r"a stage that never ends: give epochs, patience or both"),
        (
            {"optimizer": {"lr": 0.1}, "epochs": None, "patience": 2, "schedule": {"kind": "cosine", "lr_final": 0.01}},
            r"schedule cosine needs to know how long the stage is",
        ),
    ],
)
def test_contradictions_are_named(fields, message):
    with pytest.raises(UsageError, match=message):
        stage(**fields)


def test_bop_flips_by_its_formula():
    weight = nn.Parameter(torch.tensor([0.3, -0.2, 0.0, 0.7]))
    optimizer = BopOptimizer([weight], lr=0.5, threshold=0.1)
    assert weight.tolist() == [1, -1, 1, 1]
    weight.grad = torch.tensor([0.4, 0.4, 0.1, -5.0])
    optimizer.step()  # means .2 .2 .05 -2.5: the first agrees and is large, the second disagrees, the third is small
    assert weight.tolist() == [-1, -1, 1, 1]
    weight.grad = torch.tensor([-1.0, -1.0, 0.3, 9.0])
    optimizer.step()  # means -.4 -.4 .175 3.25
    assert weight.tolist() == [1, 1, -1, -1]


BOP = {
    "optimizer": {"name": "bop", "lr": 0.1, "threshold": 1e-6},
    "real_optimizer": {"name": "adam", "lr": 0.01},
    "latent_clip": False,
    "schedule": {"kind": "step", "every": 2, "factor": 0.5},
}


def test_bop_trains_binary_weights_and_another_optimizer_the_rest(tmp_path):
    model = network()
    summary = fit(model, splits(), settings(epochs=6, **BOP), tmp_path / "run")
    assert summary.test_accuracy > 0.9
    assert set(model[1].weight.unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(model[2].weight, torch.ones(32))
    assert [record["learning_rate"] for record in lines(tmp_path / "run")] == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]


@pytest.mark.parametrize(
    "fields",
    [
        BOP,
        {"optimizer": {"name": "rmsprop", "lr": 0.01, "momentum": 0.5}},
        {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}, "real_optimizer": {"name": "nadam", "lr": 0.01}},
        {"optimizer": {"name": "asgd", "lr": 0.01}},
        {"optimizer": {"name": "rprop", "lr": 0.01}},
        {"optimizer": {"name": "adafactor", "lr": 0.01}},
        {"epochs": None, "patience": 2, "stochastic_weights": True},
    ],
    ids=["bop", "rmsprop", "two", "asgd", "rprop", "adafactor", "patience"],
)
def test_every_kind_of_state_survives_a_stop(tmp_path, fields):
    training = settings(**({"epochs": 3} | fields))
    fit(network(), splits(), training, tmp_path / "whole")
    steps = 0

    def stop(module, *_):
        nonlocal steps
        steps += module.training
        if steps == 21:
            raise KeyboardInterrupt

    model = network()
    handle = model.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        fit(model, splits(), training, tmp_path / "cut")
    handle.remove()
    fit(network(7), splits(), training, tmp_path / "cut", resume=True)
    same_runs(tmp_path / "whole", tmp_path / "cut")


def test_a_stage_ends_when_validation_no_longer_improves(tmp_path):
    training = settings(stages=[{"epochs": None, "patience": 3}, {"epochs": 2}])
    fit(network(), splits(), training, tmp_path / "run")
    records = lines(tmp_path / "run")
    first = [record["validation_accuracy"] for record in records if record["stage"] == 0]
    assert [record["stage"] for record in records[-2:]] == [1, 1] and records[-3]["stage"] == 0
    best = first.index(max(first))
    assert len(first) == best + 1 + 3
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epochs"] == len(records)
