"""A capture that leaves an operator out is found by the check at the end of convert(), which names where."""

import re
from collections import OrderedDict

import pytest
import torch
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.capture.builder import Builder
from bnn_toolchain.converters.graph.ops import (
    Add,
    BatchNorm,
    Bias,
    BinaryConv2d,
    Conv,
    Divide,
    Gemm,
    Hardtanh,
    MaxPool,
    Relu,
    Scale,
    Sign,
)
from bnn_toolchain.errors import CheckFailed
from bnn_toolchain.layers import BinaryConv2d as BinaryLayer
from bnn_toolchain.layers import Sign as SignLayer

from .spellings.network import SPEC


class Sums(nn.Module):
    """Every addition, subtraction and product with a number."""

    def forward(self, x):
        return (x * 3 + 1) / 7 + x


def network():
    torch.manual_seed(0)
    layers = OrderedDict(
        conv=nn.Conv2d(3, 3, 3, padding=1),
        centre=nn.BatchNorm2d(3),
        rectify=nn.ReLU(),
        norm=nn.BatchNorm2d(3),
        clip=nn.Hardtanh(),
        sums=Sums(),
        largest=nn.MaxPool2d(3, 1, 1),
        sign=SignLayer(),
        binary=BinaryLayer(3, 3, 3, padding=1),
        binary_norm=nn.BatchNorm2d(3),
        flatten=nn.Flatten(),
        dense=nn.Linear(144, 144),
        classify=nn.Linear(144, 5),
    )
    module = nn.Sequential(layers)
    for _ in range(50):
        module(torch.rand(20, 3, 8, 6) * 2 - 1)  # statistics that let every layer's values spread around 0
    return module.eval()


@pytest.mark.parametrize(
    "kind", [Add, BatchNorm, Bias, BinaryConv2d, Conv, Divide, Gemm, Hardtanh, MaxPool, Relu, Scale, Sign]
)
def test_the_first_operator_of_a_kind_is_left_out(monkeypatch, kind):
    whole, dropped = Builder.add, []

    def add(self, path, call, op, *inputs):
        if isinstance(op, kind) and not dropped:
            dropped.append(path)
            return inputs[0]
        return whole(self, path, call, op, *inputs)

    module = network()
    convert(module, SPEC)  # as it is, all is well
    monkeypatch.setattr(Builder, "add", add)
    with pytest.raises(CheckFailed) as caught:
        convert(module, SPEC)
    found = re.search(r"Sequential is another network, first at '(\w+)[.']", str(caught.value))
    order = [name for name, _ in module.named_children()]
    assert found and abs(order.index(found[1]) - order.index(dropped[0])) <= 2, caught.value
