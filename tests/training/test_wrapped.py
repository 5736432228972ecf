"""What torch.compile and nn.DataParallel wrap is trained, saved and loaded as the module inside."""

import pytest
import torch
from torch import nn

from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.load import load_run

from .small import splits
from .test_fit import lines, network, settings

WRAPPERS = {
    "compiled": lambda module: torch.compile(module, backend="eager"),  # tracing without a C++ compiler
    "data parallel": nn.DataParallel,
    "both": lambda module: nn.DataParallel(torch.compile(module, backend="eager")),
}


class Part(nn.Module):
    """A network whose body may be wrapped."""

    def __init__(self, wrap):
        super().__init__()
        self.body = wrap(network())

    def forward(self, x):
        return self.body(x)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapped_module_gives_the_run_of_the_module_inside(tmp_path, wrap):
    plain, inside = network(), network()
    fit(plain, splits(), settings(epochs=2, precision="fp32"), tmp_path / "plain")
    calls = []
    wrapped = wrap(inside)
    wrapped.register_forward_hook(lambda module, _inputs, _output: calls.append(module.training))
    fit(wrapped, splits(), settings(epochs=2, precision="fp32"), tmp_path / "wrapped")
    assert lines(tmp_path / "wrapped") == lines(tmp_path / "plain")
    assert len(calls) >= 18  # the steps go through the wrapper: nine an epoch
    for model in (network(5), wrap(network(5))):
        found = load_run(tmp_path / "wrapped", model=model).model
        assert type(found) is nn.Sequential and not found.training
        assert all(torch.equal(value, found.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_part_may_be_wrapped_in_one_program_and_not_in_the_next(tmp_path, wrap):
    def bare(module):
        return module

    fit(Part(wrap), splits(), settings(epochs=1, precision="fp32"), tmp_path / "run")
    first = load_run(tmp_path / "run", model=Part(bare)).model.state_dict()
    assert list(first)[:2] == ["body.1.weight", "body.2.weight"]
    again = load_run(tmp_path / "run", model=Part(wrap)).model.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(first.values(), again.values(), strict=True))


def test_a_layer_that_stands_twice_in_a_module_is_saved(tmp_path):
    torch.manual_seed(0)
    model = network()
    model.insert(5, model[3])
    model.insert(5, model[2])  # its weights have two names now
    fit(model, splits(), settings(epochs=1), tmp_path / "run")
    again = network(3)
    again.insert(5, again[3])
    again.insert(5, again[2])
    found = load_run(tmp_path / "run", model=again).model.state_dict()
    assert "5.weight" in found and all(torch.equal(value, found[name]) for name, value in model.state_dict().items())
