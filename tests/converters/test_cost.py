import numpy as np
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.cost import cost_of
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.input_spec import InputSpec
from tests.networks import Conv, Dense, Sign

from .graphs import mixed


def test_a_real_model_is_its_bits_and_little_more():
    spec = InputSpec(28, 28, 1, (1 / 128,), (128.0,), tuple("0123456789"))
    hidden = (Dense(784, 1024), nn.BatchNorm1d(1024), Sign(), Dense(1024, 1024), nn.BatchNorm1d(1024), Sign())
    graph = convert(nn.Sequential(nn.Flatten(), *hidden, Dense(1024, 10), nn.BatchNorm1d(10)), spec)
    found = cost_of(graph, len(to_bytes(graph)))
    weights = 1024 * 98 + 1024 * 128 + 10 * 128
    assert found.parameter_bytes == weights + 2 * 1024 * 5 + 2 * 10 * 4
    assert found.file_bytes == len(to_bytes(graph)) == found.parameter_bytes + found.container_bytes
    assert found.container_bytes < 0.02 * found.parameter_bytes
    assert found.binary_macs == 1024 * 1024 + 1024 * 10
    assert found.other_macs == 784 * 1024
    assert found.parameters == 784 * 1024 + 1024 * 1024 + 1024 * 10 + 2048 + 20
    assert found.float_layers == ()
    assert [row.activation_bits for row in found.rows if row.weight_bits] == [8, 1, 1]


def test_convolutions_count_every_position_before_pooling():
    spec = InputSpec(8, 8, 2, (1.0,) * 2, (0.0,) * 2, ("a", "b"))
    layers = (Conv(2, 6, 3, 1, 1, 1, 1, 0), nn.MaxPool2d(2), nn.BatchNorm2d(6), Sign())
    head = (Conv(6, 8, 3, 1, 1, 1, 2, 1), nn.MaxPool2d(2), nn.BatchNorm2d(8), Sign(), nn.Flatten(), Dense(32, 2))
    rows = cost_of(convert(nn.Sequential(*layers, *head), spec), 0).rows
    assert [row.op for row in rows if row.weight_bits] == ["BinaryConv2dMaxPoolThreshold"] * 2 + ["BinaryDense"]
    assert [row.other_macs for row in rows if row.weight_bits] == [2 * 9 * 6 * 64, 0, 0]
    assert [row.binary_macs for row in rows if row.weight_bits] == [0, 3 * 9 * 8 * 16, 64]


def test_every_float_layer_has_its_reason():
    reasons = {row.name: row.float_reason for row in cost_of(mixed(np.random.default_rng(0)), 0).float_layers}
    assert set(reasons) == {"input", "conv", "real", "grouped", "dense", "logits"}
    assert "use BinaryConv2d" in reasons["conv"]
    assert "BinaryLinear" in reasons["logits"]
    assert "binarize it" in reasons["real"]


def test_what_passes_left_has_their_reason():
    missed = {row.name: row.missed for row in cost_of(mixed(np.random.default_rng(0)), 0).rows if row.missed}
    assert missed == {
        "input": "Conv 'conv' takes reals: a first layer of binary weights that pads with 0 stays integer",
        "sign": "a sign of reals and no threshold of integers, since Conv 'grouped' yields reals",
    }


class Branches(nn.Module):
    """A norm before pooling, a sum before a sign, and sums that are read twice."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.pool = Conv(1, 8, 3, 1, 1, 1, 1, 0), nn.BatchNorm2d(8), nn.MaxPool2d(2)
        self.sign, self.second, self.second_sign = Sign(), Conv(8, 8, 3, 1, 1, 1, 1, 1), Sign()
        self.head_sign, self.head = Sign(), Dense(8 * 16, 2)

    def forward(self, x):
        x = self.pool(self.norm(self.first(x)))
        sums = self.second(self.sign(x))
        return self.head(self.head_sign(self.second_sign(sums) + sums + x).flatten(1))


def test_every_pass_says_why_it_did_not_fire():
    spec = InputSpec(8, 8, 1, (1 / 128,), (128.0,), ("a", "b"))
    missed = {row.name: row.missed for row in cost_of(convert(Branches().eval(), spec), 0).rows if row.missed}
    assert missed == {
        "pool": "pools reals, since Affine 'norm' in front of it may reverse the order: pool right after the layer",
        "sign": "a sign of reals and no threshold of integers, since MaxPool 'pool' yields reals",
        "second_sign": "a threshold of its own, since 'second.real' reads its sums too",
        "head_sign": "a sign of reals and no threshold of integers, since Add 'add_46' yields reals",
    }
