"""Pooling over the whole map in every spelling, and windows, of which the graph holds the largest alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from .network import Network, assert_equal, assert_refused, line_of

MEANS = {
    "mean((2, 3))": lambda m, x: x.mean((2, 3)),
    "mean([2, 3])": lambda m, x: x.mean([2, 3]),
    "mean([-1, -2])": lambda m, x: x.mean([-1, -2]),
    "torch.mean": lambda m, x: torch.mean(x, dim=(2, 3)),
    "mean(3).mean(2)": lambda m, x: x.mean(3).mean(2),
    "mean(-1).mean(-1)": lambda m, x: x.mean(-1).mean(-1),
    "mean, keepdim": lambda m, x: x.mean((2, 3), keepdim=True).flatten(1),
    "flatten(2).mean(2)": lambda m, x: x.flatten(2).mean(2),
    "view(n, c, -1).mean(-1)": lambda m, x: x.view(x.size(0), x.size(1), -1).mean(-1),
    "permuted, then mean": lambda m, x: x.permute(0, 2, 3, 1).mean((1, 2)),
    "sum / count": lambda m, x: x.sum((2, 3)) / 48,
    "sum / height / width": lambda m, x: x.sum(3).sum(2) / (x.shape[2] * x.shape[3]),
    "sum * share": lambda m, x: x.sum([2, 3]) * (1 / 48),
    "adaptive_avg_pool2d": lambda m, x: functional.adaptive_avg_pool2d(x, 1).flatten(1),
    "adaptive_avg_pool2d, a pair": lambda m, x: functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1),
    "AdaptiveAvgPool2d": lambda m, x: nn.AdaptiveAvgPool2d(1)(x).flatten(1),
    "avg_pool2d of the whole map": lambda m, x: functional.avg_pool2d(x, (8, 6)).flatten(1),
    "avg_pool2d of x.shape[2:]": lambda m, x: functional.avg_pool2d(x, x.shape[2:]).flatten(1),
    "AvgPool2d": lambda m, x: nn.AvgPool2d((8, 6), stride=1)(x).flatten(1),
}


@pytest.mark.parametrize("spelling", MEANS.values(), ids=MEANS)
def test_the_mean_over_the_whole_map(spelling):
    assert_equal(Network(head=lambda m, x: m.classify(spelling(m, x))), changes=False)


MAXIMA = {
    "adaptive_max_pool2d": lambda m, x: functional.adaptive_max_pool2d(x, 1).flatten(1),
    "max_pool2d of x.shape[2:]": lambda m, x: functional.max_pool2d(x, x.shape[2:]).flatten(1),
}


@pytest.mark.parametrize("spelling", MAXIMA.values(), ids=MAXIMA)
def test_the_largest_of_the_whole_map(spelling):
    assert_equal(Network(head=lambda m, x: m.classify(spelling(m, x))))


WINDOWS = {
    "MaxPool2d(2)": lambda m, x: nn.MaxPool2d(2)(x),
    "MaxPool2d(3, 2, 1)": lambda m, x: nn.MaxPool2d(3, 2, 1)(x),
    "uneven sides": lambda m, x: functional.max_pool2d(x, (2, 3), (1, 2)),
    "sizes that do not divide": lambda m, x: functional.max_pool2d(x, 3),
    "ceil_mode where sizes divide": lambda m, x: functional.max_pool2d(x, 2, ceil_mode=True),
    "the minimum": lambda m, x: -functional.max_pool2d(-x, 2),
    "of signs": lambda m, x: functional.max_pool2d(m.sign(x), 2),
}


@pytest.mark.parametrize("spelling", WINDOWS.values(), ids=WINDOWS)
def test_windows(spelling):
    assert_equal(Network(spelling))


REFUSED = {
    "AvgPool2d(2)": (lambda m, x: functional.avg_pool2d(x, 2), "MaxPool2d"),
    "AdaptiveAvgPool2d(2)": (lambda m, x: functional.adaptive_avg_pool2d(x, 2), "MaxPool2d"),
    "AdaptiveMaxPool2d(2)": (lambda m, x: functional.adaptive_max_pool2d(x, 2), "MaxPool2d"),
    "ceil_mode": (lambda m, x: functional.max_pool2d(x, 3, 2, ceil_mode=True), "divide"),
    "dilated": (lambda m, x: functional.max_pool2d(x, 2, dilation=2), "dilat"),
    "LPPool2d": (lambda m, x: functional.lp_pool2d(x, 2, 2), ""),
    "the mean of each row": (lambda m, x: x.mean(3, keepdim=True).expand(-1, -1, -1, 6), ""),
    "the mean over the channels": (lambda m, x: x.mean(1, keepdim=True).expand(-1, 8, -1, -1), ""),
    "with its indices": (lambda m, x: functional.max_pool2d(x, 2, return_indices=True)[0], "without indices"),
    "einsum": (lambda m, x: torch.einsum("nchw->nc", x)[..., None, None].expand_as(x), ""),
    "amax": (lambda m, x: x.amax((2, 3), keepdim=True).expand_as(x), ""),
    "max": (lambda m, x: x.max(3, keepdim=True)[0].expand_as(x), ""),
    "fractional": (lambda m, x: nn.FractionalMaxPool2d(2, output_size=3)(x), ""),
    "interpolate": (lambda m, x: functional.interpolate(x, scale_factor=2), ""),
    "interpolate, bilinear": (lambda m, x: functional.interpolate(x, scale_factor=2, mode="bilinear"), ""),
}


@pytest.mark.parametrize(("spelling", "message"), REFUSED.values(), ids=REFUSED)
def test_windows_without_a_place(spelling, message):
    assert_refused(Network(spelling), line_of(spelling), message)
