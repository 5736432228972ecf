"""The networks of `make bench`: single convolutions, the recipes' networks, and a residual network, untrained.

What a network has learned changes no time; batch norms get statistics so that signs vary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, Sign
from bnn_toolchain.training.recipe import load_recipe

RECIPES = ("cifar10-vgg", "cifar10-vgg-quarter", "mnist-mlp", "digits")


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
        found: Tensor = self.norm(self.conv(self.sign(x))) + self.shortcut(x)
        return found


class BiReal18(nn.Sequential):
    """Bi-Real Net of 18 layers: 16 binary convolutions, each with a shortcut, between a real stem and a real head.

    Its shortcuts pool by maximum where the paper's average, which the toolchain does not have yet.
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


class OneConvolution(nn.Sequential):
    """A binary 3x3 convolution and its threshold between signs of the input and means over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            *(Sign(), BinaryConv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), Sign()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )


CONVOLUTIONS = {
    f"conv {side}x{side}x{channels}": (side, channels) for side, channels in ((56, 64), (28, 128), (14, 256), (7, 512))
}


def network(name: str) -> Graph:
    """The graph called ``name``: a recipe, ``bi-real-18``, or one of :data:`CONVOLUTIONS`."""
    torch.manual_seed(0)
    if name in RECIPES:
        recipe = load_recipe(name)
        raise NotImplementedError(recipe)
    if name == "bi-real-18":
        module: nn.Module = BiReal18()
        spec = InputSpec(224, 224, 3, (1 / 64,) * 3, (124.0, 116.0, 104.0), tuple(str(i) for i in range(1000)))
    else:
        side, channels = CONVOLUTIONS[name]
        module = OneConvolution(channels)
        spec = InputSpec(
            side, side, channels, (1 / 64,) * channels, (128.0,) * channels, tuple(map(str, range(channels)))
        )
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return convert(module.eval(), spec)
