"""The networks that are compared: single convolutions, the recipes' networks, and a residual network, untrained.

What a network has learned changes no time; batch norms get statistics so that signs vary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, Sign
from bnn_toolchain.model_path import untrained

CONVOLUTIONS = {
    "3x3 56x56x64": (56, 64),
    "3x3 28x28x128": (28, 128),
    "3x3 14x14x256": (14, 256),
    "3x3 7x7x512": (7, 512),
}
RECIPES = ("cifar10-vgg", "cifar10-vgg-quarter", "mnist-mlp", "digits")
RESIDUAL = "bi-real-18"
NETWORKS = (*CONVOLUTIONS, *RECIPES, RESIDUAL)


class Block(nn.Module):
    """Sign, binary 3x3 convolution and batch norm beside a shortcut (Bi-Real Net, ECCV 2018, figure 3)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.sign, self.norm = Sign(), nn.BatchNorm2d(outputs)
        self.conv = BinaryConv2d(inputs, outputs, 3, stride, 1)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            down = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.shortcut = nn.Sequential(nn.MaxPool2d(2), down, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        sums: Tensor = self.norm(self.conv(self.sign(x))) + self.shortcut(x)
        return sums


class BiReal18(nn.Sequential):
    """Bi-Real Net of 18 layers: 16 binary convolutions, each with a shortcut, between a real stem and a real head.

    Its shortcuts pool by maximum where the paper's pool by average, which the toolchain does not have yet.
    """

    def __init__(self, classes: int = 1000) -> None:
        blocks: list[nn.Module] = []
        inputs = 64
        for outputs in (64, 128, 256, 512):
            for number in range(4):
                blocks.append(Block(inputs, outputs, 2 if number == 0 and outputs > 64 else 1))
                inputs = outputs
        super().__init__(
            *(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, 1)),
            *(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)),
        )


class Convolutions(nn.Sequential):
    """Sixteen binary 3x3 convolutions of one size with their thresholds, so that what is around them counts little."""

    COUNT = 16

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = [Sign()]
        for _ in range(self.COUNT):
            layers += [BinaryConv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), Sign()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def network(name: str) -> Graph:
    """The graph of one of :data:`NETWORKS`.

    Raises:
        As :func:`bnn_toolchain.model_path.untrained`: a recipe wants its data set.
    """
    if name in RECIPES:
        return untrained(name)
    torch.manual_seed(0)
    if name == RESIDUAL:
        module: nn.Module = BiReal18()
        spec = InputSpec(224, 224, 3, (1 / 64,) * 3, (124.0, 116.0, 104.0), tuple(map(str, range(1000))))
    else:
        side, channels = CONVOLUTIONS[name]
        module = Convolutions(channels)
        spec = InputSpec(
            side, side, channels, (1 / 64,) * channels, (128.0,) * channels, tuple(map(str, range(channels)))
        )
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return convert(module.eval(), spec)


def repeats(name: str) -> int:
    """How many of what is compared one network holds."""
    return Convolutions.COUNT if name in CONVOLUTIONS else 1
