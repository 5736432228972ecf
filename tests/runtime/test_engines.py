"""Every engine that needs no compiler answers as the reference does, and refuses what it cannot take."""

import sys

import numpy as np
import pytest
import torch
from onnx import parser
from torch import nn

from bnn_toolchain.converters import convert, onnx
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.errors import FileFormatError, Unavailable, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.runtime.engines.engine import open_session
from bnn_toolchain.runtime.engines.names import ENGINES, engine_name
from bnn_toolchain.runtime.engines.onnxruntime import open_bytes
from bnn_toolchain.runtime.engines.torch import TorchSession
from tests.converters.graphs import fused, images
from tests.converters.pinned import GRAPHS

SPEC = InputSpec(6, 7, 2, (1 / 128,) * 2, (128.0,) * 2, tuple("abc"))
FEATURES = 9 * 4 * 5


def test_names():
    assert [engine_name(name) for name in ENGINES] == list(ENGINES)
    with pytest.raises(UsageError, match="'Native': choose from native, onnxruntime"):
        engine_name("Native")


@pytest.mark.parametrize("engine", ["reference", "onnxruntime", "native"])
@pytest.mark.parametrize("make", [lambda: fused(np.random.default_rng(3)), *GRAPHS.values()], ids=["fused", *GRAPHS])
def test_logits_and_bits_are_the_references(engine, make):
    graph = make()
    pixels = images(np.random.default_rng(3), graph.spec, 7)
    session = open_session(engine, onnx.to_bytes(graph))
    expected, bits = run_hidden(graph, pixels)
    logits, hidden = session.run_hidden(pixels)
    np.testing.assert_array_equal(session.run(pixels).view(np.uint32), expected.view(np.uint32))
    np.testing.assert_array_equal(logits.view(np.uint32), expected.view(np.uint32))
    assert list(hidden) == list(bits)
    for name in bits:
        np.testing.assert_array_equal(hidden[name], bits[name], name)


@pytest.mark.parametrize("engine", ["reference", "onnxruntime", "native"])
def test_images_of_the_wrong_size(engine):
    graph = fused(np.random.default_rng(0))
    session = open_session(engine, onnx.to_bytes(graph))
    for wrong in (np.zeros((1, 8, 7, 3), np.uint8), np.zeros((9, 7, 3), np.uint8), np.zeros((1, 9, 7, 3), np.float32)):
        with pytest.raises(UsageError, match=r"the model takes uint8 \[N, 9, 7, 3\]"):
            session.run(wrong)
        with pytest.raises(UsageError, match="the model takes uint8"):
            session.run_hidden(wrong)


@pytest.mark.parametrize("engine", ["reference", "onnxruntime", "native"])
def test_a_truncated_or_foreign_model(engine):
    model = onnx.to_bytes(fused(np.random.default_rng(0)))
    for damaged in (model[:-40], b"", b"PK\x03\x04" + model):
        with pytest.raises(FileFormatError):
            open_session(engine, damaged)


def test_torch_needs_a_run():
    with pytest.raises(Unavailable, match="give the run folder"):
        open_session("torch", onnx.to_bytes(fused(np.random.default_rng(0))))


def test_onnxruntime_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Unavailable, match="pip install onnxruntime"):
        open_session("onnxruntime", onnx.to_bytes(fused(np.random.default_rng(0))))


def test_what_onnxruntime_cannot_load_or_run_is_a_message():
    header = '<ir_version: 8, opset_import: ["": 18, "nobody": 1]> g (uint8[N, 2] pixels) => (uint8[N, 2] y)'
    unknown, known = (parser.parse_model(f"{header} {{ y = {op} (pixels) }}") for op in ("nobody.Op", "Identity"))
    with pytest.raises(Unavailable, match=r"onnxruntime \d+\.\d+\.\d+ cannot load the model \(.*nobody.*export it"):
        open_bytes(unknown.SerializeToString())
    run = open_bytes(known.SerializeToString())
    pixels = np.ones((3, 2), np.uint8)
    np.testing.assert_array_equal(run(pixels)[0], pixels)
    with pytest.raises(Unavailable, match=r"onnxruntime \S+ cannot run the model \(.*invalid dimensions"):
        run(np.ones((3, 4), np.uint8))


@pytest.mark.parametrize(
    "tail",
    [
        [nn.Flatten(), nn.BatchNorm1d(FEATURES), Sign()],
        [nn.Flatten(), nn.Hardtanh(), Sign()],
        [nn.Flatten(), Sign()],
        [Sign(), nn.Flatten()],
        [nn.BatchNorm2d(9), Sign(), nn.Flatten(), BinaryLinear(FEATURES, FEATURES), nn.BatchNorm1d(FEATURES), Sign()],
    ],
    ids=["flatten-bn-sign", "flatten-tanh-sign", "flatten-sign", "sign-flatten", "sign-flatten-dense-sign"],
)
def test_torch_bits_lie_as_in_the_file_whatever_is_flattened_before(tail):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = nn.Sequential(BinaryConv2d(2, 9, 3), *tail, BinaryLinear(FEATURES, 3)).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    graph = convert(module, SPEC)
    pixels = images(np.random.default_rng(0), SPEC, 4)
    expected, bits = run_hidden(graph, pixels)
    logits, hidden = TorchSession(module, graph).run_hidden(pixels)
    np.testing.assert_array_equal(logits, expected)
    assert len(hidden) == sum(isinstance(m, Sign) for m in module.modules())
    for name, found in hidden.items():
        np.testing.assert_array_equal(found, bits[name], name)
