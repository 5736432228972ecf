"""Arithmetic that is affine for each channel, in every spelling; what is not affine is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from .network import Network, assert_equal, assert_refused, line_of, pooled

GAIN = torch.tensor([2.0, -1.0, 0.5, -3.0, 1.0, 0.25, -2.0, 1.5]).reshape(8, 1, 1)
SHIFT = torch.tensor([1.0, -2.0, 0.5, 0.0, -0.25, 3.0, -1.0, 0.75]).reshape(8, 1, 1)
MEAN = torch.tensor([0.25, -0.5, 0.125]).reshape(3, 1, 1)
STD = torch.tensor([0.5, 0.25, 2.0]).reshape(3, 1, 1)


def in_place(_m, x):
    x += 2
    return x


EQUAL = {
    "x + 1": lambda m, x: x + 1,
    "x + 2": lambda m, x: x + 2,
    "x + 5": lambda m, x: x + 5,
    "x + -3": lambda m, x: x + -3,
    "1 + x": lambda m, x: 1 + x,
    "x += 2": in_place,
    "x.add_(1)": lambda m, x: x.add_(1),
    "x + True": lambda m, x: x + True,
    "x + 1.0": lambda m, x: x + 1.0,
    "2 - x": lambda m, x: 2 - x,
    "x - 1": lambda m, x: x - 1,
    "x.sub_(1)": lambda m, x: x.sub_(1),
    "-x": lambda m, x: -x,
    "torch.neg": lambda m, x: torch.neg(x),
    "x.neg_()": lambda m, x: x.neg_(),
    "x / 2 - 1": lambda m, x: x / 2 - 1,
    "x / 3 - 1": lambda m, x: x / 3 - 1,
    "x / -3": lambda m, x: x / -3,
    "x * 3 + 1": lambda m, x: x * 3 + 1,
    "-2 * x": lambda m, x: -2 * x,
    "(x + 1) / 2, and back": lambda m, x: ((x + 1) / 2) * 2 - 1.5,
    "torch.add": lambda m, x: torch.add(x, 1),
    "torch.add, alpha": lambda m, x: torch.add(x, 1, alpha=3),
    "torch.sub": lambda m, x: torch.sub(x, 1),
    "torch.sub, alpha": lambda m, x: torch.sub(x, 1, alpha=2),
    "torch.rsub": lambda m, x: torch.rsub(x, 1),
    "torch.mul": lambda m, x: torch.mul(x, -2),
    "torch.div": lambda m, x: torch.div(x, -4),
    "a number of numpy": lambda m, x: x + np.float32(1.5),
    "a whole number of numpy": lambda m, x: x + np.int64(1),
    "a buffer": lambda m, x: x * m.gain + m.shift,
    "a buffer of one batch": lambda m, x: x + m.shift[None],
    "a buffer, expand_as": lambda m, x: x + m.shift.expand_as(x),
    "a buffer, view": lambda m, x: x * m.gain.flatten().view(1, -1, 1, 1),
    "a buffer, flattened, on channels last": lambda m, x: (x.permute(0, 2, 3, 1) * m.gain.flatten()).permute(
        0, 3, 1, 2
    ),
    "a buffer minus x": lambda m, x: m.shift - x,
    "divided by a buffer": lambda m, x: (x - m.shift) / m.gain,
    "alpha and a buffer": lambda m, x: torch.add(x, m.shift, alpha=2),
    "addcmul": lambda m, x: torch.addcmul(x, m.gain, m.shift),
    "addcmul, value": lambda m, x: torch.addcmul(m.shift, x, m.gain, value=2),
    "a tensor made in forward": lambda m, x: x + torch.tensor(1),
    "ones_like": lambda m, x: x - torch.ones_like(x),
    "full_like": lambda m, x: x + torch.full_like(x, 2),
    "new_tensor": lambda m, x: x + x.new_tensor([0.5]),
    "sum of a list": lambda m, x: sum([x, 1, m.shift]),
    "two values, alpha": lambda m, x: torch.add(x, m.first_norm(x), alpha=2),
    "two values, subtracted": lambda m, x: x - m.first_norm(x),
    "a value and itself": lambda m, x: x + x + 1,
    "0 and 1 instead of -1 and 1": lambda m, x: (m.sign(x) + 1) / 2 - 0.5 * m.gain.abs(),
}


@pytest.mark.parametrize("spelling", EQUAL.values(), ids=EQUAL)
def test_arithmetic_between_layers(spelling):
    assert_equal(Network(spelling, gain=GAIN, shift=SHIFT))


LOGITS = {
    "logits + 1": lambda m, x: pooled(m, x) + 1,
    "logits + 5": lambda m, x: pooled(m, x) + 5,
    "3 - logits": lambda m, x: 3 - pooled(m, x),
    "logits / temperature": lambda m, x: pooled(m, x) / 0.07,
    "logits * 0.1": lambda m, x: pooled(m, x) * 0.1,
    "one number for each class": lambda m, x: pooled(m, x) * m.gain.flatten()[:5] - m.shift.flatten()[:5],
}


@pytest.mark.parametrize("spelling", LOGITS.values(), ids=LOGITS)
def test_arithmetic_on_logits(spelling):
    assert_equal(Network(head=spelling, gain=GAIN, shift=SHIFT))


FRONT = {
    "(x - mean) / std": lambda m, x: (x - m.mean) / m.std,
    "x.sub(mean).div(std)": lambda m, x: x.sub(m.mean).div(m.std),
    "in place": lambda m, x: x.sub_(m.mean).div_(m.std),
    "x * 2 - 1": lambda m, x: x * 2 - 1,
    "2 * x - 1, then (x - 0.5) / 0.5": lambda m, x: (2 * x - 1 - 0.5) / 0.5,
    "a BatchNorm2d": lambda m, x: m.norm(x),
}


@pytest.mark.parametrize("spelling", FRONT.values(), ids=FRONT)
def test_normalisation_in_front(spelling):
    norm = nn.BatchNorm2d(3, affine=False, eps=0)
    norm.running_mean.copy_(MEAN.flatten())
    norm.running_var.copy_(STD.flatten().square())
    assert_equal(Network(front=spelling, mean=MEAN, std=STD, norm=norm))


REFUSED = {
    "x * x": (lambda m, x: x * x, "product of two values of the image"),
    "x ** 2": (lambda m, x: x**2, "pow"),
    "1 / x": (lambda m, x: 1 / x, "reciprocal"),
    "x / x": (lambda m, x: x / m.first_norm(x), "division by a value of the image"),
    "x // 2": (lambda m, x: x // 2, "div"),
    "x % 2": (lambda m, x: x % 2, "remainder"),
    "a constant for each pixel": (lambda m, x: x + m.map, "use one number for each channel"),
    "a constant for each row": (lambda m, x: x * m.map[0, :, :1], "use one number for each channel"),
    "minus its own mean": (lambda m, x: x - x.mean((2, 3), keepdim=True), "add values of one shape"),
    "times a gate": (lambda m, x: x * x.mean((2, 3), keepdim=True), "product of two values of the image"),
    "divided by 0": (lambda m, x: x / 0, "division by 0"),
    "complex": (lambda m, x: (x + 1j).real, "complex"),
    "exp": (lambda m, x: x.exp(), "exp"),
    "abs": (lambda m, x: x.abs() - 1, "abs"),
    "maximum": (lambda m, x: torch.maximum(x, m.first_norm(x)), "maximum"),
    "cumsum": (lambda m, x: x.cumsum(1), "cumsum"),
}


@pytest.mark.parametrize(("spelling", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_affine_for_each_channel(spelling, message):
    assert_refused(Network(spelling, map=torch.randn(8, 8, 6)), line_of(spelling), message)
