"""Convolutions of every geometry, ours and torch's, and the paddings in front of them."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.layers import BinaryConv2d

from .network import Network, assert_equal, assert_refused, line_of

SECOND = {
    "a pair": ((8, 8, (3, 1)), {}),
    "stride": ((8, 8, 3, 2, 1), {}),
    "a pair of strides": ((8, 8, 3, (2, 1)), {}),
    "a pair of pads": ((8, 8, 3, 1, (0, 2)), {}),
    "dilated": ((8, 8, 2), {"dilation": 2}),
    "a pair of dilations": ((8, 8, (2, 3), 1, 1, (3, 1)), {}),
    "grouped": ((8, 8, 3), {"groups": 2, "padding": 1}),
    "depthwise": ((8, 8, 3), {"groups": 8, "padding": 1}),
    "same": ((8, 8, 5), {"padding": "same"}),
    "same, even": ((8, 8, (2, 4)), {"padding": "same"}),
    "same, dilated": ((8, 8, 3), {"padding": "same", "dilation": 2}),
    "valid": ((8, 8, 3), {"padding": "valid"}),
    "pointwise": ((8, 8, 1), {}),
    "as large as the map": ((8, 8, (8, 6)), {}),
}
OURS = {
    "zeros": {"padding": 1, "pad_value": 0},
    "zeros, same, even": {"padding": "same", "kernel_size": (2, 4), "pad_value": 0},
    "zeros by their other name": {"padding": (2, 1), "padding_mode": "zeros"},
    "scaled": {"padding": 1, "scaled": True},
    "scaled, zeros, grouped": {"padding": 1, "scaled": True, "pad_value": 0, "groups": 4},
}
FLOAT = ("a pair of pads", "a pair of dilations", "depthwise", "same, even", "valid", "as large as the map")


@pytest.mark.parametrize(("arguments", "keywords"), SECOND.values(), ids=SECOND)
def test_a_binary_convolution_padded_with_ones(arguments, keywords):
    torch.manual_seed(1)
    assert_equal(Network(second=BinaryConv2d(*arguments, **keywords)))


@pytest.mark.parametrize("own", OURS.values(), ids=OURS)
def test_a_binary_convolution_of_other_kinds(own):
    torch.manual_seed(1)
    assert_equal(Network(second=BinaryConv2d(8, 8, **{"kernel_size": 3} | own)))


@pytest.mark.parametrize("name", FLOAT)
def test_a_float_convolution(name):
    torch.manual_seed(1)
    arguments, keywords = SECOND[name]
    assert_equal(Network(second=nn.Conv2d(*arguments, **keywords)))


def test_every_number_of_channels_and_a_layer_without_a_bias():
    torch.manual_seed(1)
    wide = nn.Sequential(BinaryConv2d(8, 33, 3, bias=False), nn.BatchNorm2d(33), nn.Conv2d(33, 8, 1, bias=False))
    assert_equal(Network(second=wide))


PADS = {
    "zeros": lambda m, x: m.bare(functional.pad(x, (1, 1, 1, 1))),
    "ones": lambda m, x: m.bare(functional.pad(x, (1, 1, 1, 1), value=1)),
    "uneven": lambda m, x: m.bare(functional.pad(x, (0, 2, 1, 0), value=1.0)),
    "ZeroPad2d": lambda m, x: m.bare(nn.ZeroPad2d(1)(x)),
    "ConstantPad2d": lambda m, x: m.bare(nn.ConstantPad2d((2, 0, 0, 2), 1.0)(x)),
    "zeros twice": lambda m, x: m.zeros(functional.pad(x, (1, 0, 1, 0))),
}


def pads(spelling):
    torch.manual_seed(1)
    parts = {"bare": BinaryConv2d(8, 8, 3), "zeros": BinaryConv2d(8, 8, 3, padding=1, pad_value=0)}
    return Network(lambda m, x: spelling(m, m.sign(x)), **parts, ones=BinaryConv2d(8, 8, 3, padding=1))


@pytest.mark.parametrize("spelling", PADS.values(), ids=PADS)
def test_padding_in_front_of_a_convolution(spelling):
    assert_equal(pads(spelling))


REFUSED = {
    "zeros, then ones": (lambda m, x: m.ones(functional.pad(x, (1, 1, 1, 1))), "pad"),
    "ones, then zeros": (lambda m, x: m.zeros(functional.pad(x, (1, 1, 1, 1), value=1.0)), "pad once"),
    "twos": (lambda m, x: m.bare(functional.pad(x, (1, 1, 1, 1), value=2.0)), "with 1 or 0"),
    "reflected": (lambda m, x: m.bare(functional.pad(x, (1, 1, 1, 1), mode="reflect")), "reflect"),
    "replicated": (lambda m, x: m.bare(nn.ReplicationPad2d(1)(x)), ""),
    "channels": (lambda m, x: functional.pad(x, (0, 0, 0, 0, 0, 8))[:, :8], ""),
    "in front of a pool": (lambda m, x: functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 2), "pad"),
    "in front of an addition": (lambda m, x: functional.pad(x, (1, 1, 1, 1)) + 1, "pad"),
    "a reflecting layer of torch": (lambda m, x: functional.conv2d(m.reflecting(x), m.bare.weight), ""),
    "a transposed convolution": (lambda m, x: functional.conv_transpose2d(x, m.bare.weight), "Conv2d"),
    "a convolution of rows": (lambda m, x: functional.conv1d(x.flatten(2), m.rows).view(-1, 8, 8, 6), "Conv2d"),
    "unfolded": (lambda m, x: functional.unfold(x, 1).view(x.shape), ""),
}


@pytest.mark.parametrize(("spelling", "message"), REFUSED.values(), ids=REFUSED)
def test_padding_and_convolutions_without_a_place(spelling, message):
    network = pads(spelling)
    network.reflecting = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
    network.rows = nn.Parameter(torch.randn(8, 8, 1))
    assert_refused(network, line_of(spelling), message)
