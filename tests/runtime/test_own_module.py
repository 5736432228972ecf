"""A bundle beside the module of the user's own that it was exported from, in Python and by FILE:NAME."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.api import module_for, validate_model
from bnn_toolchain.converters import convert, onnx
from bnn_toolchain.converters.rounding import LAST_BITS, OWN_ORDER
from bnn_toolchain.data.splits import Labelled, Splits
from bnn_toolchain.errors import CheckFailed, FileFormatError, Unsupported, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.layers.sign import sign
from bnn_toolchain.model_path import open_model
from bnn_toolchain.own_module import load_module
from bnn_toolchain.runtime.bundle.source import source_of
from bnn_toolchain.runtime.checks.validate import Contender, validate
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.engine import open_session
from bnn_toolchain.runtime.engines.torch import TorchSession, of_module
from bnn_toolchain.runtime.export import TestImages, export_bundle
from bnn_toolchain.training.config import Training
from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.recipe import validate as settings

SPEC = InputSpec(6, 6, 1, (1 / 128,), (128.0,), ("a", "b", "c"))
FILE = """
import helper
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.first, self.norm, self.act = BinaryLinear(36, 50), nn.BatchNorm1d(50), Sign()
        self.head, self.scale = BinaryLinear(50, classes), nn.BatchNorm1d(classes)

    def forward(self, x):
        return self.scale(self.head(self.act(self.norm(self.first(x.flatten(1))))))

class Other(Net):
    def forward(self, x):
        return -super().forward(x)

def of_spec(spec):
    return Net(len(spec.classes))

def two(height, width):
    return Net()

ready = Net()
number = 3

def broken():
    return helper.nothing

def tuples():
    class Tuples(Net):
        def forward(self, x):
            return (super().forward(x),)
    return Tuples()

def pairs():
    class Pairs(Net):
        def forward(self, x):
            return x, x
    return Pairs()
"""


def noise(count, seed):
    rng = np.random.default_rng(seed)
    return Labelled(rng.integers(0, 256, (count, *SPEC.shape), dtype=np.uint8), rng.integers(0, 3, count))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with the user's file, the run that it trained and the bundle of that."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(FILE)
    (folder / "helper.py").write_text("")
    torch.manual_seed(0)
    module = load_module(f"{folder / 'net.py'}:Net", SPEC)
    training = settings({"batch_size": 20, "epochs": 1, "optimizer": {"lr": 0.01}}, Training, "test")
    fit(module, Splits(noise(60, 0), noise(20, 1), noise(20, 2), SPEC, "noise"), training, folder / "run")
    test = TestImages("noise", noise(20, 2).images, noise(20, 2).labels)
    source = source_of(folder / "run", folder / "bundle")
    export_bundle(convert(module, SPEC), folder / "bundle", test=test, source=source)
    return folder


def compare(work, name, **settings):
    said = []
    module = module_for(work / "bundle", f"{work / 'net.py'}:{name}", said.append)
    return validate_model(work / "bundle", module=module, announce=said.append, **settings), said


@pytest.mark.parametrize("name", ["Net", "of_spec", "ready", "tuples"])
def test_the_bundle_is_the_module(work, name):
    report, said = compare(work, name)
    report.check()
    assert [row.engine for row in report.rows] == ["native", "torch"]
    torch_row = report.rows[1]
    assert (torch_row.images, torch_row.predictions_equal) == (20, 20)
    assert torch_row.contract == Contract(("act",), logits=LAST_BITS)
    assert [layer.name for layer in torch_row.hidden] == ["act"] and torch_row.bits_compared == 20 * 50
    assert said[0].endswith(f":{name} gets the weights of {work / 'run'}")


def test_another_module_is_found(work):
    report, _ = compare(work, "Other", engines=["torch"])
    assert [row.engine for row in report.rows] == ["torch"]
    with pytest.raises(CheckFailed, match=r"torch on local: .* of 20 predictions differ"):
        report.check()


def test_without_its_run_a_module_keeps_its_own_weights(work, tmp_path):
    shutil.copytree(work / "bundle", tmp_path / "bundle")
    file = f"{work / 'net.py'}:Net"
    said = []
    module = module_for(tmp_path / "bundle", file, said.append)
    assert said == [f"{file} keeps its own weights: {tmp_path / 'bundle'} names no training run that is here"]
    with pytest.raises(CheckFailed, match="the bits of 'act' differ"):
        validate_model(tmp_path / "bundle", module=module).check()
    trained = module_for(work / "bundle", file)
    validate_model(tmp_path / "bundle", module=trained).check()
    validate_model(tmp_path / "bundle" / "model.onnx", module=trained).check()
    (work / "run" / "best.safetensors").rename(work / "run" / "best")
    try:
        (work / "run" / "best.safetensors").write_bytes((work / "run" / "last.safetensors").read_bytes() + b" ")
        with pytest.raises(UsageError, match="has changed since"):
            module_for(work / "bundle", file)
    finally:
        (work / "run" / "best").replace(work / "run" / "best.safetensors")


def test_torch_is_left_out_of_the_default_with_the_reason(work, tmp_path):
    said = []
    (row,) = validate_model(work / "bundle", announce=said.append).rows
    assert row.engine == "native"
    assert "torch, the trained module itself, is left out: " in said[0] and "bnnt validate --module" in said[0]
    shutil.copytree(work / "bundle", tmp_path / "bundle")
    validate_model(tmp_path / "bundle", announce=said.append)
    assert "is left out: the torch engine needs the training run" in said[2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two", r"two\(height, width\) needs more: name a function that makes the network without arguments"),
        ("number", "is int: name an nn.Module, or what makes one"),
        ("broken", "AttributeError: module 'helper' has no attribute 'nothing'"),
        ("nothing", "AttributeError: module 'own_module_net' has no attribute 'nothing'"),
    ],
)
def test_names_that_mean_no_module(work, name, words):
    with pytest.raises(UsageError, match=words):
        load_module(f"{work / 'net.py'}:{name}", SPEC)


def test_files_that_mean_no_module(work, tmp_path):
    for text, words in (("Net", "give FILE:NAME"), (f"{tmp_path / 'x.py'}:Net", "there is no file")):
        with pytest.raises(UsageError, match=words):
            load_module(text, SPEC)
    (tmp_path / "stops.py").write_text("import sys\nsys.exit('usage')")
    (tmp_path / "wrong.py").write_text("def")
    (tmp_path / "net.txt").write_text("")
    for name, words in (
        ("stops.py", "SystemExit: usage"),
        ("wrong.py", "SyntaxError"),
        ("net.txt", "not a Python"),
    ):
        with pytest.raises(UsageError, match=words):
            load_module(f"{tmp_path / name}:Net", SPEC)


class Three(nn.Module):
    def forward(self, x):
        return x, [x], {"x": x}


def test_modules_that_do_not_fit(work):
    with pytest.raises(Unsupported, match=r"Pairs .*returns 2 tensors"):
        compare(work, "pairs")
    graph = open_model(work / "bundle")
    pixels = noise(3, 0).images
    with pytest.raises(UsageError, match=r"Linear fails on images \[3, 1, 6, 6\]: RuntimeError"):
        TorchSession(nn.Linear(2, 2), graph).run(pixels)
    for module, words in ((nn.Flatten(), r"invalid for input of size"), (Three(), "yields 3 tensors, not one")):
        with pytest.raises(UsageError, match=words):
            TorchSession(module, graph).run(pixels)
    Path(work / "small.py").write_text("from torch import nn\nnet = nn.Linear(2, 2)\n")
    with pytest.raises(FileFormatError, match="is of another network"):
        module_for(work / "bundle", f"{work / 'small.py'}:net")


class Residual(nn.Module):
    """Sums of reals in front of every sign: torch and onnxruntime take them in orders of their own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm, self.sign = nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), Sign()
        self.binary, self.second = BinaryConv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.again, self.head = Sign(), nn.Linear(32, 3)
        for norm in (self.norm, self.second):
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                nn.init.normal_(tensor)

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.head(self.again(self.second(self.binary(self.sign(x))) + x).mean((2, 3)))


def test_honest_engines_keep_to_the_bounds_of_sums_of_reals():
    spec = InputSpec(16, 16, 1, (1 / 128,), (128.0,), ("a", "b", "c"))
    module = Residual().eval()
    graph = convert(module, spec)
    pixels = np.random.default_rng(1).integers(0, 256, (300, *spec.shape), dtype=np.uint8)
    sessions = (open_session("onnxruntime", onnx.to_bytes(graph)), of_module(module, graph))
    report = validate(graph, [Contender("engine", "local", session) for session in sessions], pixels, hidden_images=150)
    report.check()
    for row in report.rows:
        assert row.contract.logits == row.contract.reals == OWN_ORDER
        assert row.hidden_images >= 150 and row.bits_compared >= 150 * 2 * 32 * 256
        assert row.predictions_equal + row.near_ties == 300
        assert row.images_exact > 280


class Scaled(nn.Module):
    """Weights that are signs times a scale: torch rounds their sums, which the graph has in whole numbers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.sign, self.again, self.head = BinaryLinear(36, 40), Sign(), Sign(), BinaryLinear(30, 3)
        self.weight = nn.Parameter(torch.randn(30, 40))

    def forward(self, x):
        weight = torch.where(self.weight >= 0, 1.0, -1.0) * self.weight.abs().mean(1, keepdim=True)
        return self.head(self.again(functional.linear(self.sign(self.first(x.flatten(1))), weight)))


def test_sums_that_a_module_rounds_by_itself_may_miss_their_threshold_by_1():
    module = Scaled().eval()
    graph = convert(module, SPEC)
    session, pixels = of_module(module, graph), noise(60, 0).images
    assert session.contract(graph).rounded == ("sign", "again")
    (row,) = validate(graph, [Contender("torch", "local", session)], pixels).rows
    assert not row.failures and row.hidden[1].images_differing > 0 and row.hidden[1].images_wrong == 0
    strict = replace(session, rounds=False)
    (row,) = validate(graph, [Contender("torch", "local", strict)], pixels).rows
    assert any("the bits of 'again' differ on" in failure for failure in row.failures)


class Signs(nn.Module):
    """One sign module called twice, one never, and a sign that is a function."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second, self.third = BinaryLinear(36, 40), BinaryLinear(40, 30), BinaryLinear(30, 20)
        self.sign, self.unused, self.head = Sign(), Sign(), BinaryLinear(20, 3)

    def forward(self, x):
        x = self.sign(self.first(x.flatten(1)))
        x = sign(self.second(x))
        return self.head(self.sign(self.third(x)))


def test_torch_shows_each_call_of_a_sign_module_and_says_so():
    module = Signs().eval()
    graph = convert(module, SPEC)
    session, pixels = of_module(module, graph), noise(20, 5).images
    shows = session.contract(graph).shows
    assert len(graph.hidden_bits()) == 3 and len(shows) == 2 and shows[0] == "sign"
    (row,) = validate(graph, [Contender("torch", "local", session)], pixels).rows
    assert not row.failures and [layer.name for layer in row.hidden] == list(shows)
    assert len(row.hidden_missing) == 1

    class Never(Signs):
        def forward(self, x):
            self.sign(x)
            return super().forward(x)[:, :3]

    broken = of_module(Never().eval(), graph)
    with pytest.raises(CheckFailed, match=r"torch on local yields bits of 'sign' as uint8 \[20, 6, 6, 1\]"):
        validate(graph, [Contender("torch", "local", broken)], pixels)


def test_a_sign_module_that_torch_does_not_call_is_missed():
    module = nn.Sequential(nn.Flatten(), BinaryLinear(36, 9), Sign(), BinaryLinear(9, 3)).eval()
    graph = convert(module, SPEC)
    session = of_module(module, graph)
    session.module[2].forward = None
    session.module.forward = lambda x: session.module[3](sign(session.module[1](x.flatten(1))))
    (row,) = validate(graph, [Contender("torch", "local", session)], noise(20, 5).images).rows
    assert row.failures == ("it shows no bits of '2', which its contract promises",)


def test_torch_promises_what_its_arithmetic_keeps():
    module = nn.Sequential(nn.Flatten(), BinaryLinear(36, 9), nn.BatchNorm1d(9), Sign(), BinaryLinear(9, 3)).eval()
    thirds = InputSpec(6, 6, 1, (1 / 255,), (128.0,), ("a", "b", "c"))
    for spec, promised in (
        (SPEC, Contract(("3",), logits=LAST_BITS)),
        (thirds, Contract(("3",), logits=OWN_ORDER, reals=OWN_ORDER, rounded=("3",))),
    ):
        graph = convert(module, spec)
        session = of_module(module, graph)
        assert session.contract(graph) == promised
        validate(graph, [Contender("torch", "local", session)], noise(200, 1).images).check()
    floats = nn.Sequential(nn.Flatten(), nn.Linear(36, 9), Sign(), BinaryLinear(9, 3)).eval()
    graph = convert(floats, SPEC)
    session = of_module(floats, graph)
    assert session.contract(graph) == Contract(("2",), logits=OWN_ORDER, reals=OWN_ORDER)
    validate(graph, [Contender("torch", "local", session)], noise(200, 1).images).check()
