"""PReLU from torch to every file and engine: the worked example of converters/README.md."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.converters import convert, lce, onnx
from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node, same_graph
from bnn_toolchain.converters.graph.ops import Affine, PixelNormalize, PRelu
from bnn_toolchain.converters.graph.traits import never_decreases
from bnn_toolchain.converters.reference import run
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.runtime.engines import onnxruntime
from bnn_toolchain.runtime.engines.native import library as native

SPEC = InputSpec(6, 5, 2, (1 / 128,) * 2, (128.0,) * 2, ("a", "b", "c"))


def images(count=20):
    return np.random.default_rng(1).integers(0, 256, (count, *SPEC.shape), np.uint8)


class Residual(nn.Module):
    def __init__(self, slopes):
        super().__init__()
        self.first = BinaryConv2d(2, 8, 3, padding=1, pad_value=0)
        self.norm, self.activate, self.sign = nn.BatchNorm2d(8), nn.PReLU(slopes), Sign()
        self.second, self.second_norm = BinaryConv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.activate_all = nn.PReLU()
        self.head = BinaryLinear(8, 3)

    def forward(self, x):
        x = self.activate(self.norm(self.first(x)))
        x = self.second_norm(self.second(self.sign(x))) + x
        return functional.prelu(self.head(self.sign(self.activate_all(x).mean((2, 3)))), torch.tensor([0.5]))


@pytest.mark.parametrize("slopes", [1, 8])
def test_a_module_with_prelus_is_the_same_network_everywhere(slopes):
    module = Residual(slopes).eval()
    with torch.no_grad():
        module.activate.weight.copy_(torch.linspace(-0.5, 0.75, slopes))
        module.norm.running_mean.uniform_(-3, 3)
    graph = convert(module, SPEC)
    shown = [len(node.op.slope) for node in graph.nodes if isinstance(node.op, PRelu)]
    assert shown == [8, 8, 3]
    data = onnx.to_bytes(graph)
    assert same_graph(onnx.from_bytes(data), graph)
    assert same_graph(lce.from_bytes(lce.to_bytes(graph)), graph)
    expected = run(graph, images())
    session = native.load(data)
    assert np.array_equal(session.run(images()).view(np.uint32), expected.view(np.uint32))
    assert {node.kernel for node in session.nodes if node.op == "PRelu"} == {"portable"}
    np.testing.assert_allclose(onnxruntime.load(data).run(images()), expected, rtol=1e-4, atol=1e-5)


def hostile(slope):
    """Reals of both signs, zeros of both and infinities, of pixels 0 to 255, through a PReLU alone."""
    scale, offset = np.array([np.float32(1), -1], np.float32), np.array([128, 128], np.float32)
    large = np.array([3e38, 1], np.float32)
    return Graph(
        InputSpec(2, 2, 2, (1.0,) * 2, (128.0,) * 2, ("a", "b")),
        (
            Node("x", PixelNormalize(scale, offset), (INPUT,)),
            Node("wide", Affine(large, np.zeros(2, np.float32)), ("x",)),
            Node("prelu", PRelu(np.array(slope, np.float32)), ("wide",)),
        ),
    )


@pytest.mark.parametrize("slope", [(0.25, 0.25), (-0.5, 0.0), (2.0, -1e-38), (1e30, 1.0)])
def test_zeros_infinities_and_denormals_to_the_last_bit(slope):
    graph = hostile(slope)
    pixels = np.arange(256, dtype=np.uint8).repeat(8).reshape(256, 2, 2, 2)
    expected = run(graph, pixels)
    data = onnx.to_bytes(graph)
    for found in (native.load(data).run(pixels), onnxruntime.open_bytes(data)(pixels)[0]):
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        whole = ~np.isnan(expected)
        assert np.array_equal(found.view(np.uint32)[whole], expected.view(np.uint32)[whole])
    module = nn.PReLU(2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(slope))
        x = run(Graph(graph.spec, graph.nodes[:2]), pixels)
        torchs = module(torch.from_numpy(x)).numpy()
    assert np.array_equal(torchs[whole], expected[whole])  # of 0 and a negative slope torch makes -0


def test_it_moves_behind_pooling_only_where_it_rises():
    assert never_decreases(PRelu(np.array([0.0, 2.0], np.float32)))
    assert not never_decreases(PRelu(np.array([0.1, -0.1], np.float32)))


def test_slopes_for_another_number_of_channels():
    with pytest.raises(Unsupported, match=r"PRelu has parameters \(3,\) for 2 channels"):
        hostile((1.0, 1.0, 1.0))
