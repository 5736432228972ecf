"""A small network shaped like those of the recipes, and labelled images for it."""

import numpy as np
import torch
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.reference import run
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.runtime.export import TestImages

SPEC = InputSpec(12, 12, 1, (1 / 128,), (128.0,), ("one", "two", "three", "four"))


def small_network(seed: int = 0) -> nn.Module:
    """conv-pool-bn-sign twice, then two dense layers, in evaluation mode."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        BinaryConv2d(1, 16, 3, padding=1, pad_value=0),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(16),
        Sign(),
        BinaryConv2d(16, 24, 3, padding=1),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(24),
        Sign(),
        nn.Flatten(),
        BinaryLinear(24 * 3 * 3, 33),
        nn.BatchNorm1d(33),
        Sign(),
        BinaryLinear(33, 4),
        nn.BatchNorm1d(4),
    )
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean, std=3)
    return module.eval()


def small_graph(seed: int = 0) -> Graph:
    return convert(small_network(seed), SPEC)


def labelled(graph: Graph, count: int, wrong: int) -> TestImages:
    """Random images with the labels that the reference gives them, but for the first ``wrong``."""
    images = np.random.default_rng(1).integers(0, 256, (count, *graph.spec.shape), np.uint8)
    labels = run(graph, images).argmax(axis=1)
    labels[:wrong] = (labels[:wrong] + 1) % len(graph.spec.classes)
    return TestImages("random", images, labels)
