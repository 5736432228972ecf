"""Weights that the user's own code makes binary are recognised by their values, and become binary layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph.ops import BinaryConv2d, BinaryConv2dThreshold, BinaryDense, Conv, Gemm
from bnn_toolchain.layers import sign

from .network import SPEC, Network, answers, assert_equal, assert_refused, line_of, probes

torch.manual_seed(0)
LATENT = torch.randn(8, 8, 3, 3)
DENSE = torch.randn(5, 8)


class SignOfMost(torch.autograd.Function):
    @staticmethod
    def forward(context, w):
        return torch.sign(w)

    @staticmethod
    def backward(context, gradient):
        return gradient


def clamped_detour(w):
    clamped = w.clamp(-1, 1)
    return clamped + (w.sign() - clamped).detach()


def in_place(w):
    binary = w.clone()
    binary[binary >= 0] = 1
    binary[binary < 0] = -1
    return binary


BINARY = {
    "ours": sign,
    "torch.sign": torch.sign,
    "w.sign()": lambda w: w.sign(),
    "torch.sgn": torch.sgn,
    "where": lambda w: torch.where(w >= 0, 1.0, -1.0),
    "where, tensors": lambda w: torch.where(w > 0, torch.ones_like(w), -torch.ones_like(w)),
    "twice a boolean minus 1": lambda w: 2 * (w >= 0).float() - 1,
    "1 minus twice a boolean": lambda w: 1 - 2 * (w < 0).to(w.dtype),
    "an autograd function": SignOfMost.apply,
    "a detour around detach": lambda w: (w.sign() - w).detach() + w,
    "w and a detached difference": lambda w: w + (w.sign() - w).detach(),
    "a clamped detour": clamped_detour,
    "copysign": lambda w: torch.copysign(torch.ones_like(w), w),
    "heaviside": lambda w: torch.heaviside(w, torch.tensor(1.0)) * 2 - 1,
    "w / |w|": lambda w: w / w.abs(),
    "in place, by masks": in_place,
    "centred": lambda w: torch.sign(w - w.mean((1, 2, 3), keepdim=True)),
    "negative": lambda w: -w.sign(),
    "scaled by channel": lambda w: w.sign() * w.abs().mean((1, 2, 3), keepdim=True),
    "scaled by layer": lambda w: w.sign() * w.abs().mean(),
    "scaled by a power of two": lambda w: w.sign() * 0.25,
    "scaled by its norm": lambda w: w.sign() * (w.norm(1) / w.numel()),
    "scaled, signs on the right": lambda w: w.abs().mean((1, 2, 3), keepdim=True) * torch.where(w >= 0, 1.0, -1.0),
    "1 bit of DoReFa": lambda w: 2 * torch.round(torch.tanh(w) / (2 * torch.tanh(w).abs().max()) + 0.5) - 1,
}


def kinds(module):
    return [type(node.op) for node in convert(module, SPEC).nodes]


@pytest.mark.parametrize("binarise", BINARY.values(), ids=BINARY)
def test_a_convolution_of_binarised_weights(binarise):
    network = Network(latent=LATENT)
    network.second = nn.Identity()
    network.middle = lambda m, x: x
    network.second_norm = nn.Sequential(Convolution(binarise), Network().second_norm)
    assert_equal(network)
    found = kinds(network)
    assert found.count(BinaryConv2d) + found.count(BinaryConv2dThreshold) == 2 and Conv not in found


class Convolution(nn.Module):
    """Binary weights by the user's own code; pads with 0."""

    def __init__(self, binarise, latent=LATENT):
        super().__init__()
        self.weight, self.binarise = nn.Parameter(latent.clone()), binarise

    def forward(self, x):
        return functional.conv2d(x, self.binarise(self.weight), padding=1)


DENSE_LAYERS = {
    "F.linear": lambda x, w: functional.linear(x, w.sign()),
    "@ of t()": lambda x, w: x @ w.sign().t(),
    "matmul of T": lambda x, w: torch.matmul(x, torch.sign(w).T),
    "mm": lambda x, w: x.mm(w.sign().t()),
    "addmm": lambda x, w: torch.addmm(torch.zeros(5), x, w.sign().t()),
    "scaled afterwards": lambda x, w: functional.linear(x, w.sign()) * w.abs().mean(1),
    "a bias of one's own": lambda x, w: functional.linear(x, w.sign(), torch.arange(5.0)),
}


@pytest.mark.parametrize("product", DENSE_LAYERS.values(), ids=DENSE_LAYERS)
def test_a_dense_layer_of_binarised_weights(product):
    def head(m, x):
        return product(m.sign(functional.adaptive_max_pool2d(x, 1).flatten(1) - 1), m.dense)

    network = Network(head=head, dense=DENSE)
    assert_equal(network)
    assert BinaryDense in kinds(network) and Gemm not in kinds(network)


def test_weights_that_are_binary_in_the_state_itself():
    conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    with torch.no_grad():
        conv.weight.sign_()
    network = Network(second=conv)
    assert_equal(network)
    assert Conv not in kinds(network)


def test_a_parametrisation():
    class Binarised(nn.Module):
        def forward(self, w):
            return torch.where(w >= 0, 1.0, -1.0)

    conv = nn.Conv2d(8, 8, 3, padding=1)
    parametrize.register_parametrization(conv, "weight", Binarised())
    network = Network(second=conv)
    assert_equal(network)
    assert Conv not in kinds(network)


def with_zeros(w):
    return torch.where(w.abs() < 0.1, 0.0, w).sign()


FLOAT = {
    "ternary": with_zeros,
    "scaled by input channel": lambda w: w.sign() * w.abs().mean((0, 2, 3), keepdim=True),
    "two bits": lambda w: w.clamp(-1, 1).mul(1.5).round(),
    "nearly binary": lambda w: torch.tanh(w * 4),
    "half a bit off": lambda w: w.sign() + 0.01,
}


@pytest.mark.parametrize("binarise", FLOAT.values(), ids=FLOAT)
def test_weights_that_only_look_binary_stay_float(binarise):
    network = Network(second=Convolution(binarise))
    assert_equal(network)
    assert Conv in kinds(network)


def random_signs(m, x):
    return functional.conv2d(x, torch.bernoulli(m.latent.sigmoid()) * 2 - 1, padding=1)  # here


def of_the_image(m, x):
    return functional.conv2d(x, m.latent * x.mean(), padding=1)  # here


def assigned(m, x):
    m.second.weight.data = m.second.weight.data.sign()  # here
    return m.second(x)


@pytest.mark.parametrize("spelling", [random_signs, of_the_image, assigned], ids=lambda each: each.__name__)
def test_weights_that_are_no_constant(spelling):
    assert_refused(Network(spelling, latent=LATENT), line_of(spelling))


def test_a_latent_weight_of_zero_is_plus_one_with_ours_and_zero_with_torch():
    latent = LATENT.clone()
    latent[:, 0] = 0
    ours, theirs = Network(second=Convolution(sign, latent)), Network(second=Convolution(torch.sign, latent))
    assert_equal(ours)
    assert_equal(theirs)
    assert Conv not in kinds(ours) and Conv in kinds(theirs)
    assert abs(answers(ours, probes()) - answers(theirs, probes())).max() > 0.01
