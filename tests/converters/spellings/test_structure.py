"""How modules are put together makes no difference: containers, wrappers, modules that are used twice."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.converters import convert, onnx
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.layers import BinaryConv2d, Sign, sign, unwrapped

from .network import SPEC, Network, assert_equal, assert_refused, trained


def block():
    torch.manual_seed(2)
    return nn.Sequential(Sign(), BinaryConv2d(8, 8, 3, padding=1), trained(nn.BatchNorm2d(8), 72))


def loop(m, x):
    for part in m.parts:
        x = part(x)
    return x


def chosen(m, x):
    return m.parts["b ö"](m.parts["a"](x))


def enumerated(m, x):
    return sum(part(x) for part in m.parts.values())


STRUCTURES = {
    "Sequential": (lambda m, x: m.parts(x), lambda: nn.Sequential(block(), nn.Sequential(block()))),
    "ModuleList": (loop, lambda: nn.ModuleList([block(), block()])),
    "ModuleDict": (chosen, lambda: nn.ModuleDict({"a": block(), "b ö": block()})),
    "ModuleDict, summed": (enumerated, lambda: nn.ModuleDict({"a b": block(), "add": block()})),
    "called twice": (lambda m, x: m.parts(m.parts(x)), block),
    "a residual": (lambda m, x: x + m.parts(x), block),
    "a residual, then a sign": (lambda m, x: m.parts(m.sign(x + m.parts(x))), block),
    "a residual of two calls": (lambda m, x: m.parts(x) + m.parts(-x), block),
    "two paths": (lambda m, x: m.parts[0](x) + m.parts[1](x), lambda: nn.ModuleList([block(), block()])),
    "the functional sign": (lambda m, x: m.parts[1:](sign(x)), block),
    "the weights of another layer": (
        lambda m, x: functional.conv2d(m.sign(x), sign(m.parts[1].weight), padding=1),
        block,
    ),
    "a part that is not used": (lambda m, x: x + 1 if m.parts is not None else x, block),
    "a compiled part": (lambda m, x: m.parts(x), lambda: torch.compile(block())),
    "a parallel part": (lambda m, x: m.parts(x), lambda: nn.DataParallel(block())),
}


@pytest.mark.parametrize(("spelling", "parts"), STRUCTURES.values(), ids=STRUCTURES)
def test_structures(spelling, parts):
    assert_equal(Network(spelling, parts=parts()))


def test_one_layer_in_two_places():
    network = Network(lambda m, x: m.body(x), body=block())
    network.body[2] = network.second_norm
    network.second = network.body[1]
    assert_equal(network)


def double(network):
    return network.double()


FORMS = {
    "in training mode": lambda network: network.train(),
    "in float64": double,
    "without gradients": lambda network: network.requires_grad_(False),
    "copied": copy.deepcopy,
    "compiled": torch.compile,
    "parallel": nn.DataParallel,
    "compiled and parallel": lambda network: nn.DataParallel(torch.compile(network)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_a_whole_module(form):
    given = form(Network(lambda m, x: x + 1))
    plain = copy.deepcopy(unwrapped(given)).float().eval()
    assert_equal(plain)
    names = [node.name for node in convert(plain, SPEC).nodes]
    assert [node.name for node in convert(given, SPEC).nodes] == names
    assert convert(given, SPEC).decided_by == convert(plain, SPEC).decided_by


class WithOptions(Network):
    def forward(self, x, features=False, *, scale=1.0):
        y = super().forward(x) * scale
        return (y, x) if features else y


def test_arguments_that_have_defaults():
    assert_equal(WithOptions(), changes=False)


class OfTwo(Network):
    def forward(self, x, y):
        return super().forward(x + y)


def test_a_module_of_two_inputs_is_refused():
    with pytest.raises(Unsupported, match=r"test_structure\.py:\d+.*'y'"):
        convert(OfTwo(), SPEC)


def test_a_module_that_fx_has_taken_apart_is_refused():
    """The sign is in pieces, which may be anything."""
    assert_refused(torch.fx.symbolic_trace(Network()), "network.py:")


def test_a_name_that_no_file_can_hold_is_refused():
    graph = convert(Network(lambda m, x: m.parts["a/b"](x), parts=nn.ModuleDict({"a/b": block()})), SPEC)
    with pytest.raises(Unsupported, match=r"'parts\.a/b\.0': names have 1 to 1000 characters and hold no '/'"):
        onnx.to_bytes(graph)


def test_a_script_is_refused():
    with pytest.raises(Unsupported, match=r"a program of torch\.jit cannot be captured: give the module"):
        convert(torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(144, 5))), SPEC)


class Helper(nn.Module):
    def forward(self, x):
        return self.inner(x)

    def inner(self, x):
        return x.tanh()  # here


def test_the_line_is_that_of_the_operation_in_a_method_that_forward_calls():
    start = Helper.inner.__code__.co_firstlineno
    assert_refused(Network(lambda m, x: m.part(x), part=Helper()), f"{__file__}:{start + 1}", "part (", "tanh")
