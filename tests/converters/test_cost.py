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
