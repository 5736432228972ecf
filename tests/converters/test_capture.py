from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.capture.capture import capture
from bnn_toolchain.converters.graph.ops import Add, Bias, BinaryConv2d, Flatten, PixelNormalize, Scale, unpack_bits
from bnn_toolchain.converters.reference import run
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec
from tests.networks import Conv, Dense, Sign

from .graphs import images

SPEC = InputSpec(8, 6, 3, (0.02, 0.01, 0.03), (120.0, 100.5, 90.0), ("a", "b"))


def agrees(module, spec=SPEC):
    pixels = images(np.random.default_rng(0), spec, 4)
    normal = (pixels.astype(np.float32) - np.float32(spec.offset)) * np.float32(spec.scale)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(normal.transpose(0, 3, 1, 2).copy())).numpy()
    spec = replace(spec, classes=tuple("abcdefgh"[: expected.shape[1]]))
    np.testing.assert_allclose(run(convert(module, spec), pixels), expected, rtol=1e-4, atol=1e-4)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.shift = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, x):
        x = self.conv(x)
        y = functional.relu_(self.norm(x) * 2.0 + self.shift)
        return (x + y).mean((2, 3))


class Scaled(nn.Module):
    """Binary weights with one scale for each output channel, and a bias."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3, 3, 3))
        self.bias = nn.Parameter(torch.randn(5))

    def forward(self, x):
        scale = self.weight.abs().mean((1, 2, 3), keepdim=True)
        return functional.conv2d(x, torch.ops.bnnt.sign(self.weight) * scale, self.bias)


def test_float_layers_additions_and_inplace_operators():
    agrees(Residual())


def test_the_usual_layers():
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 6, 3, 2, 1, groups=3),
        nn.BatchNorm2d(6),
        nn.Hardtanh(),
        nn.MaxPool2d(2, 1, 1),
        nn.ReLU(inplace=True),
    )
    agrees(nn.Sequential(*layers, nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)))
    agrees(
        nn.Sequential(
            nn.Conv2d(3, 5, 2), Sign(), nn.MaxPool2d(2), nn.Flatten(), Dense(30, 9), nn.BatchNorm1d(9), nn.Linear(9, 2)
        )
    )


def test_weight_scale_and_bias_come_after_the_binary_convolution():
    graph = capture(nn.Sequential(Scaled(), nn.Flatten(), nn.Linear(5 * 24, 2)), SPEC).graph
    assert [type(node.op) for node in graph.nodes[:5]] == [PixelNormalize, BinaryConv2d, Scale, Bias, Flatten]
    agrees(nn.Sequential(Scaled(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_zero_weights_are_plus_one():
    dense = Dense(144, 2)
    with torch.no_grad():
        dense.weight[:, ::2] = 0
        dense.weight[:, 1::4] = -0.0
    graph = capture(nn.Sequential(nn.Flatten(), dense), SPEC).graph
    signs = unpack_bits(graph.nodes[-1].op.weight, 144)
    assert np.all(signs[:, ::2] == 1)
    assert np.all(signs[:, 1::4] == 1)


def test_names_lead_back_to_modules_and_a_module_may_be_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())

        def forward(self, x):
            return (self.body(self.body(x)) + x).flatten(1)

    graph = capture(nn.Sequential(Twice(), nn.Linear(144, 2)), SPEC).graph
    assert [node.name for node in graph.nodes] == [
        "input",
        "0.body.0",
        "0.body.1",
        "0.body.0.2",
        "0.body.1.2",
        "0.add",
        "0",
        "1",
    ]
    assert isinstance(graph.nodes[5].op, Add)


def test_capture_changes_nothing():
    module = nn.Sequential(nn.Flatten(), nn.Linear(144, 2), nn.BatchNorm1d(2)).double().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    capture(module, SPEC)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_every_operator_without_a_place_is_named_with_its_module_line_and_remedy():
    class Bad(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(Conv(3, 4, 3, 1, 1, 1, 1, 0), nn.AvgPool2d(2), nn.Sigmoid())
            self.head = nn.Linear(4 * 12, 2)

        def forward(self, x):
            return functional.softmax(self.head(torch.sign(self.features(x)).flatten(1)), 1)

    with pytest.raises(Unsupported) as caught:
        capture(Bad(), SPEC)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert "features.1" in lines[1] and "avg_pool2d" in lines[1] and "MaxPool2d" in lines[1]
    assert "features.2" in lines[2] and "sigmoid" in lines[2] and "Hardtanh" in lines[2]
    assert "sign has no place" in lines[3] and "test_capture.py:" in lines[3] and "bnn_toolchain.layers" in lines[3]
    assert "softmax" in lines[4] and "logits" in lines[4]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.Conv2d(3, 2, 3)), "padded with 1: pad float convolutions with 0"),
        (nn.Sequential(Conv(3, 2, 3, 1, 1, 1, 1, 2)), "padded with 2: pad binary convolutions with 1 or 0"),
        (nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.ReLU()), "pad before convolutions only"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), "leave track_running_stats on"),
        (nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True)), "sizes that divide evenly"),
        (nn.Sequential(nn.Hardtanh(0, 6)), "only the bounds -1 and 1 exist"),
        (nn.Sequential(nn.LSTM(6, 2)), "Sequential fails on images of"),
        (nn.Sequential(nn.Linear(7, 2)), "Sequential fails on images of"),
        (nn.Sequential(nn.Unflatten(2, (4, 2))), "returns what the graph cannot yield: a reshape of 3x8x6 to 3x4x2x6"),
        (nn.Sequential(nn.Flatten(0)), "mixes the images"),
    ],
)
def test_each_refusal_has_its_message(module, message):
    with pytest.raises(Unsupported, match=message):
        capture(module, SPEC)


def test_diverged_parameters_are_refused():
    dense = Dense(144, 2)
    with torch.no_grad():
        dense.weight[0, 0] = torch.nan
    norm = nn.BatchNorm1d(2)
    norm.running_var[1] = torch.inf
    with pytest.raises(Unsupported, match="diverged"):
        capture(nn.Sequential(nn.Flatten(), nn.Linear(144, 2), norm), SPEC)
    with pytest.raises(Unsupported, match="diverged"):
        capture(nn.Sequential(nn.Flatten(), dense), SPEC)
