"""A cast that changes no value is nothing; every other is refused, though it may look as innocent."""

import pytest
import torch

from .network import Network, assert_equal, assert_refused, line_of

NOTHING = {
    "float": lambda m, x: x.float(),
    "to(float32)": lambda m, x: x.to(torch.float32),
    "type": lambda m, x: x.type(torch.float32),
    "type_as": lambda m, x: x.type_as(m.first.weight),
    "to(another)": lambda m, x: x.to(m.first.weight),
    "to(device)": lambda m, x: x.to(x.device),
    "to('cpu')": lambda m, x: x.to("cpu"),
    "cpu": lambda m, x: x.cpu(),
    "to(device, dtype)": lambda m, x: x.to("cpu", torch.float32, non_blocking=True),
    "double and back": lambda m, x: x.double().float(),
    "as_tensor": lambda m, x: torch.as_tensor(x),
    "signs to half and back": lambda m, x: m.sign(x).half().float(),
    "signs to bfloat16 and back": lambda m, x: m.sign(x).bfloat16().float(),
    "signs to int8 and back": lambda m, x: m.sign(x).to(torch.int8).float(),
    "signs to int and back": lambda m, x: m.sign(x).int().to(x.dtype),
}


@pytest.mark.parametrize("spelling", NOTHING.values(), ids=NOTHING)
def test_a_cast_that_changes_no_value(spelling):
    assert_equal(Network(spelling), changes=False)


REFUSED = {
    "int": lambda m, x: x.int().float(),
    "long": lambda m, x: x.long().float(),
    "int8": lambda m, x: x.to(torch.int8).float(),
    "uint8": lambda m, x: x.byte().float(),
    "bool": lambda m, x: x.bool().float(),
    "half": lambda m, x: x.half().float(),
    "bfloat16": lambda m, x: x.bfloat16().float(),
    "bfloat16, without a way back": lambda m, x: x.bfloat16(),
    "type": lambda m, x: x.type(torch.float16).float(),
    "signs to bool": lambda m, x: m.sign(x).bool().float(),
    "signs to uint8": lambda m, x: m.sign(x).to(torch.uint8).float(),
    "round": lambda m, x: x.round(),
    "floor": lambda m, x: x.floor(),
    "trunc": lambda m, x: x.trunc(),
    "the bits of a float": lambda m, x: x.view(torch.int32).float(),
    "arithmetic in float64": lambda m, x: (x.double() / 3).float(),
}


@pytest.mark.parametrize("spelling", REFUSED.values(), ids=REFUSED)
def test_a_cast_that_changes_values(spelling):
    assert_refused(Network(spelling), line_of(spelling))


def zero_and_one(_m, x):
    return (x > 0).float()  # here


def torch_sign(_m, x):
    return torch.sign(x)  # here


def method_sign(_m, x):
    return x.sign()  # here


def sign_in_place(_m, x):
    return x.sign_()  # here


def minus_one_at_zero(_m, x):
    return torch.where(x > 0, 1.0, -1.0)  # here


def plus_one_for_nan(_m, x):
    return torch.where(x < 0, -1.0, 1.0)  # here


def three_values(_m, x):
    return torch.where(x >= 0, 2.0, -1.0)  # here


@pytest.mark.parametrize(
    "spelling",
    [zero_and_one, torch_sign, method_sign, sign_in_place, minus_one_at_zero, plus_one_for_nan, three_values],
    ids=lambda each: each.__name__,
)
def test_activations_that_are_no_sign_of_ours(spelling):
    assert_refused(Network(spelling), line_of(spelling), "Sign")


class AsMostWriteIt(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(context, gradient):
        return gradient


SIGNS = {
    "where": lambda m, x: torch.where(x >= 0, 1.0, -1.0),
    "where, of tensors": lambda m, x: torch.where(x >= 0, torch.ones_like(x), -torch.ones_like(x)),
    "an autograd function": lambda m, x: AsMostWriteIt.apply(x),
}


@pytest.mark.parametrize("spelling", SIGNS.values(), ids=SIGNS)
def test_activations_that_are_a_sign(spelling):
    assert_equal(Network(spelling), changes=False)
