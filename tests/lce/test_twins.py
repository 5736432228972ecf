"""The .tflite twins that LiteRT is timed with: LCE's interpreter, which is TensorFlow Lite besides, runs them."""

import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.lce.format.container import encode
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.runtime.comparison.networks import Block
from bnn_toolchain.runtime.comparison.tflite_twins import tflite_twin
from bnn_toolchain.runtime.engines.lce import session as engine
from tests.converters.graphs import fused

SPEC = InputSpec(32, 32, 3, (1 / 64,) * 3, (128.0,) * 3, tuple("abcde"))


def residual():
    stem = (nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.MaxPool2d(3, 2, 1))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    return nn.Sequential(*stem, Block(8, 8, 1), Block(8, 16, 2), *head)


def plain():
    first = (BinaryConv2d(3, 16, 3, padding=1), nn.MaxPool2d(2), nn.BatchNorm2d(16), Sign())
    second = (BinaryConv2d(16, 8, 3), nn.BatchNorm2d(8), Sign(), nn.Flatten())
    dense = (BinaryLinear(8 * 14 * 14, 20), nn.BatchNorm1d(20), Sign(), BinaryLinear(20, 5))
    return nn.Sequential(*first, *second, *dense)


@pytest.mark.parametrize("kind", ["FLOAT32", "INT8"])
@pytest.mark.parametrize("make", [residual, plain])
def test_a_twin_runs_and_depends_on_its_image(interpreter, make, kind):
    torch.manual_seed(0)
    graph = convert(make().eval(), SPEC)
    data = encode(tflite_twin(graph, kind))
    images = np.random.default_rng(0).integers(0, 256, (3, *SPEC.shape), np.uint8)
    worker = engine.Worker(data, "indirect", 1, f"a twin of {kind}")
    _, logits = worker.run(images)
    worker.close()
    assert logits.dtype == (np.float32 if kind == "FLOAT32" else np.int8)
    assert logits.shape == (3, 5)
    assert len({row.tobytes() for row in logits}) == 3


@pytest.mark.parametrize("make", [residual, plain])
def test_both_twins_are_of_the_same_operators(make):
    graph = convert(make().eval(), SPEC)
    real, rounded = ([op.code for op in tflite_twin(graph, kind).operators] for kind in ("FLOAT32", "INT8"))
    assert real[1:] == rounded[1:] and (real[0], rounded[0]) == ("DEQUANTIZE", "QUANTIZE")
    convolutions = 4 if make is residual else 2
    assert real.count("CONV_2D") == convolutions and real.count("FULLY_CONNECTED") == (1 if make is residual else 2)
    assert "RELU" not in real


@pytest.mark.parametrize("kind", ["FLOAT32", "INT8"])
@pytest.mark.parametrize(
    ("make", "weights"),
    [
        (residual, [8 * 7 * 7 * 3, 8 * 3 * 3 * 8, 16 * 3 * 3 * 8, 16 * 8, 5 * 16]),
        (plain, [16 * 3 * 3 * 3, 8 * 3 * 3 * 16, 20 * 8 * 14 * 14, 5 * 20]),
    ],
)
def test_a_twin_has_the_weights_of_its_network(make, weights, kind):
    constants = [t.data for t in tflite_twin(convert(make().eval(), SPEC), kind).tensors if t.data is not None]
    assert sorted(array.size for array in constants if array.ndim > 1) == sorted(weights)


def test_groups_have_no_twin():
    with pytest.raises(Unsupported, match=r"second: a convolution of groups has no \.tflite twin"):
        tflite_twin(fused(np.random.default_rng(0)), "FLOAT32")
