import torch
from torch import nn

from bnn_toolchain.layers import BinaryLinear, plain_names, unwrapped


class Network(nn.Module):
    """A part of it is wrapped, and a part has the name that nn.DataParallel gives to what it wraps."""

    def __init__(self):
        super().__init__()
        self.body = torch.compile(nn.Sequential(BinaryLinear(3, 4)))
        self.module = nn.Sequential(nn.DataParallel(nn.BatchNorm1d(4)))

    def forward(self, x):
        return self.module(self.body(x))


def test_the_module_itself_comes_back_from_any_number_of_wrappers():
    module = Network()
    for wrapped in (module, torch.compile(module), nn.DataParallel(module), nn.DataParallel(torch.compile(module))):
        assert unwrapped(wrapped) is module


def test_a_module_with_one_child_is_no_wrapper():
    module = nn.Sequential(nn.Linear(2, 2))
    assert unwrapped(module) is module
    assert set(plain_names(module).values()) == {"0.weight", "0.bias"}


def test_names_without_wrappers_at_any_depth():
    module = Network()
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    plain = ["body.0.weight", *(f"module.0.{name}" for name in norm)]
    assert plain_names(module) == dict(zip(module.state_dict(), plain, strict=True))
    twice = torch.compile(nn.DataParallel(module))
    assert plain_names(twice) == {f"_orig_mod.module.{full}": name for full, name in plain_names(module).items()}
