"""Heads of classifiers, and what they return: one tensor of logits, alone or in a container of one."""

from collections import OrderedDict
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.converters import convert
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.layers import BinaryLinear

from .network import INNER, SPEC, Network, assert_equal, assert_refused, line_of, pooled, trained


def gap(x):
    return functional.adaptive_avg_pool2d(x, 1)


HEADS = {
    "squeeze(-1) twice": lambda m, x: m.classify(gap(x).squeeze(-1).squeeze(-1)),
    "squeeze((2, 3))": lambda m, x: m.classify(gap(x).squeeze((2, 3))),
    "[:, :, 0, 0]": lambda m, x: m.classify(gap(x)[:, :, 0, 0]),
    "[..., 0, 0]": lambda m, x: m.classify(gap(x)[..., 0, 0]),
    "view(x.shape[:2])": lambda m, x: m.classify(gap(x).view(x.shape[:2])),
    "view(-1, 8)": lambda m, x: m.classify(gap(x).view(-1, 8)),
    "view(x.size(0), -1)": lambda m, x: m.classify(gap(x).view(x.size(0), -1)),
    "reshape(x.shape[0], -1)": lambda m, x: m.classify(gap(x).reshape(x.shape[0], -1)),
    "squeeze(), which takes the axis of a single image too": lambda m, x: m.classify(gap(x).squeeze()),
    "torch.flatten": lambda m, x: m.classify(torch.flatten(gap(x), 1)),
    "flatten(1, 3)": lambda m, x: m.classify(gap(x).flatten(1, 3)),
    "flatten(-3)": lambda m, x: m.classify(gap(x).flatten(-3)),
    "F.linear": lambda m, x: functional.linear(x.mean((2, 3)), m.classify.weight, m.classify.bias),
    "@ and +": lambda m, x: x.mean((2, 3)) @ m.classify.weight.t() + m.classify.bias,
    "matmul of .T": lambda m, x: torch.matmul(x.mean((2, 3)), m.classify.weight.T) + m.classify.bias,
    "addmm": lambda m, x: torch.addmm(m.classify.bias, x.mean((2, 3)), m.classify.weight.t()),
}


@pytest.mark.parametrize("spelling", HEADS.values(), ids=HEADS)
def test_the_mean_into_a_dense_layer(spelling):
    assert_equal(Network(head=spelling), changes=False)


OTHERS = {
    "1x1 convolution, then the mean": lambda m, x: m.point(x).mean((2, 3)),
    "1x1 convolution of signs, then the mean": lambda m, x: m.point(m.sign(x)).mean((2, 3)),
    "the mean, then a 1x1 convolution": lambda m, x: m.point(gap(x)).flatten(1),
    "the mean, then a 1x1 convolution, squeezed": lambda m, x: m.point(gap(x)).squeeze(-1).squeeze(-1),
    "the mean, a norm, a dense layer": lambda m, x: m.classify(m.norm(x.mean((2, 3)))),
    "the mean, relu, a dense layer": lambda m, x: m.classify(functional.relu(x.mean((2, 3)))) * 0.1,
    "everything into a dense layer": lambda m, x: m.wide(x.flatten(1)),
    "channels last into a dense layer": lambda m, x: m.wide(x.permute(0, 2, 3, 1).flatten(1)),
    "signs into a binary layer": lambda m, x: m.binary(m.sign(x).flatten(1)),
    "channels-last signs into a binary layer": lambda m, x: m.binary(m.sign(x).permute(0, 2, 3, 1).flatten(1)),
    "the largest into a dense layer": lambda m, x: m.classify(functional.adaptive_max_pool2d(x, 1).flatten(1)),
    "a convolution as large as the map": lambda m, x: m.whole(x).view(-1, 5),
}


@pytest.mark.parametrize("spelling", OTHERS.values(), ids=OTHERS)
def test_other_heads(spelling):
    torch.manual_seed(1)
    parts = {"point": nn.Conv2d(8, 5, 1), "norm": trained(nn.BatchNorm1d(8), 1), "wide": nn.Linear(384, 5)}
    network = Network(head=spelling, **parts, binary=BinaryLinear(384, 5), whole=nn.Conv2d(8, 5, (8, 6)))
    assert_equal(network)


class Answer(NamedTuple):
    logits: torch.Tensor


CONTAINERS = {
    "a tuple": lambda m, x: (pooled(m, x),),
    "a list": lambda m, x: [pooled(m, x)],
    "a dictionary": lambda m, x: {"logits": pooled(m, x)},
    "an ordered dictionary": lambda m, x: OrderedDict(out=pooled(m, x)),
    "a named tuple": lambda m, x: Answer(pooled(m, x)),
    "a tuple and None": lambda m, x: (pooled(m, x), None),
    "a dictionary and None": lambda m, x: {"logits": pooled(m, x), "loss": None},
    "nested": lambda m, x: {"heads": [pooled(m, x)]},
}


@pytest.mark.parametrize("spelling", CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_of_one_tensor(spelling):
    assert_equal(Network(head=spelling), changes=False)


NO_LOGITS = {
    "logits and features": (lambda m, x: (pooled(m, x), x), "returns 2 tensors"),
    "two heads": (lambda m, x: {"a": pooled(m, x), "b": pooled(m, x) + 1}, "returns 2 tensors"),
    "features in a list": (lambda m, x: [pooled(m, x), x.mean((2, 3))], "returns 2 tensors"),
    "a constant": (lambda m, x: m.classify.bias.expand(x.shape[0], 5), "does not depend on the image"),
    "nothing": (lambda m, x: None, "returns 0 tensors"),
    "the map itself": (lambda m, x: x, "yields 8x8x6 numbers"),
    "another number of classes": (lambda m, x: x.mean((2, 3)), "yields 8 numbers for each image, and .* 5 classes"),
}


@pytest.mark.parametrize(("spelling", "message"), NO_LOGITS.values(), ids=NO_LOGITS)
def test_what_is_not_one_tensor_of_logits(spelling, message):
    with pytest.raises(Unsupported, match=message) as caught:
        convert(Network(head=spelling), SPEC)
    assert not INNER.search(str(caught.value))


LAST = {
    "probabilities": (lambda m, x: pooled(m, x).softmax(1), "leave it out"),
    "log probabilities": (lambda m, x: functional.log_softmax(pooled(m, x), 1), "leave it out"),
    "the class": (lambda m, x: pooled(m, x).argmax(1), "argmax"),
    "whether it is the first class": (lambda m, x: pooled(m, x)[:, 0] > 0, ""),
    "one number": (lambda m, x: pooled(m, x)[:, 0], ""),
}


@pytest.mark.parametrize(("spelling", "message"), LAST.values(), ids=LAST)
def test_a_last_operation_without_a_place(spelling, message):
    assert_refused(Network(head=spelling), line_of(spelling), message)
