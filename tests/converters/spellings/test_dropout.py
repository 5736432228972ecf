"""Dropout is nothing in evaluation mode, unless the code leaves it on, as F.dropout does by default."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from .network import Network, assert_equal, assert_refused, line_of

OFF = {
    "F.dropout, training=False": lambda m, x: functional.dropout(x, training=False),
    "F.dropout, the module's mode": lambda m, x: functional.dropout(x, 0.3, m.training),
    "F.dropout in place": lambda m, x: functional.dropout(x, training=False, inplace=True),
    "F.alpha_dropout, off by default": lambda m, x: functional.alpha_dropout(x),
    "F.feature_alpha_dropout, off by default": lambda m, x: functional.feature_alpha_dropout(x),
    "nn.Dropout": lambda m, x: m.part(x),
    "nn.Dropout2d": lambda m, x: m.planes(x),
    "nn.AlphaDropout": lambda m, x: m.alpha(x),
    "torch.dropout": lambda m, x: torch.dropout(x, 0.5, False),
}


@pytest.mark.parametrize("spelling", OFF.values(), ids=OFF)
def test_dropout_that_is_off(spelling):
    parts = {"part": nn.Dropout(0.5), "planes": nn.Dropout2d(), "alpha": nn.AlphaDropout()}
    assert_equal(Network(spelling, **parts), changes=False)


ON = {
    "F.dropout, on by default": lambda m, x: functional.dropout(x),
    "F.dropout of nothing": lambda m, x: functional.dropout(x, 0.0),
    "F.dropout, a rate": lambda m, x: functional.dropout(x, 0.1),
    "F.dropout in place": lambda m, x: functional.dropout(x, inplace=True),
    "F.dropout2d, on by default": lambda m, x: functional.dropout2d(x),
    "F.alpha_dropout": lambda m, x: functional.alpha_dropout(x, training=True),
    "torch.dropout": lambda m, x: torch.dropout(x, 0.5, True),
    "a layer in training mode": lambda m, x: m.part.train()(x),
}


@pytest.mark.parametrize("spelling", ON.values(), ids=ON)
def test_dropout_that_is_on_is_refused(spelling):
    assert_refused(Network(spelling, part=nn.Dropout(0.5)), line_of(spelling), "dropout", "training")


RANDOM = {
    "rand_like": lambda m, x: x + torch.rand_like(x),
    "randn": lambda m, x: x + torch.randn(1),
    "bernoulli": lambda m, x: torch.bernoulli(x.sigmoid()),
    "randint": lambda m, x: x * torch.randint(1, 3, (1,)),
}


@pytest.mark.parametrize("spelling", RANDOM.values(), ids=RANDOM)
def test_random_numbers_are_refused(spelling):
    assert_refused(Network(spelling), line_of(spelling))
