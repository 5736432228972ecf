"""The networks of the recipes: every hidden bit and every logit on all three kernels, and the size of the file."""

import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.converters import convert, lce, onnx
from bnn_toolchain.converters.graph.graph import same_graph
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.models.mlp import MlpConfig, mlp
from bnn_toolchain.models.vgg import VggConfig, vgg
from bnn_toolchain.runtime.engines.lce import session as engine

from .test_agreement import check

CIFAR = InputSpec(32, 32, 3, (1 / 128,) * 3, (128.0,) * 3, tuple("abcdefghij"))
MNIST = InputSpec(28, 28, 1, (1 / 128,), (128.0,), tuple("abcdefghij"))
DIGITS = VggConfig(stages=((32,), (64,), (128,)), dense=(256,))
NETWORKS = {
    "digits": (lambda: vgg(DIGITS, MNIST), MNIST),
    "mnist-mlp": (lambda: mlp(MlpConfig(), MNIST), MNIST),
    "cifar10-vgg-quarter": (lambda: vgg(VggConfig(width=0.25), CIFAR), CIFAR),
    "cifar10-vgg": (lambda: vgg(VggConfig(), CIFAR), CIFAR),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipes_network(interpreter, name):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make, spec = NETWORKS[name]
    module = make()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean, 0, 5)
            nn.init.uniform_(layer.running_var, 1, 50)
    graph = convert(module.eval(), spec)
    data = lce.to_bytes(graph)
    assert same_graph(lce.from_bytes(data), graph)
    assert len(data) < 1.03 * len(onnx.to_bytes(graph))
    images = np.random.default_rng(0).integers(0, 256, (4, *spec.shape), dtype=np.uint8)
    for kernel in engine.KERNELS:
        check(graph, data, images, kernel)
