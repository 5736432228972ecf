"""Convolutions of 3x3 in stages that each end in a pooling: the network of BinaryConnect and BNN on CIFAR-10."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.models.blocks import Numbers, activation, classifier, conv3x3

Order = Literal["conv-pool-bn-sign", "bn-sign-conv-pool", "conv-bn-sign-pool"]


class VggConfig(Numbers):
    """Channels of the convolutions, stage by stage, and widths of the hidden dense layers; ``width`` multiplies all.

    ``order`` is that of a block. In conv-bn-sign-pool the pooling takes the maximum of signs, and nearly all of
    those become +1: it is there to be compared.
    """

    name: Literal["vgg"] = "vgg"
    stages: tuple[tuple[PositiveInt, ...], ...] = Field(default=((128, 128), (256, 256), (512, 512)), min_length=1)
    dense: tuple[PositiveInt, ...] = (1024, 1024)
    width: PositiveFloat = 1.0
    order: Order = "conv-pool-bn-sign"


def vgg(config: VggConfig, spec: InputSpec) -> nn.Sequential:
    """Images [N, C, H, W] to logits [N, classes]; the last convolution of each stage pools 2x2.

    Raises:
        UsageError: the image is too small for that many poolings.
    """
    if min(spec.height, spec.width) >> len(config.stages) == 0:
        raise UsageError(
            f"model.stages has {len(config.stages)} stages and each halves the image: "
            f"{spec.height}x{spec.width} is too small"
        )
    layers: list[nn.Module] = []
    inputs = spec.channels
    for stage in config.stages:
        for index, channels in enumerate(stage):
            outputs = _scaled(channels, config.width)
            layers += _block(config, inputs, outputs, first=not layers, pool=index == len(stage) - 1)
            inputs = outputs
    if config.order == "bn-sign-conv-pool":
        layers += [nn.BatchNorm2d(inputs), activation(config)]
    features = inputs * (spec.height >> len(config.stages)) * (spec.width >> len(config.stages))
    hidden = tuple(_scaled(units, config.width) for units in config.dense)
    return nn.Sequential(*layers, nn.Flatten(), *classifier(config, features, hidden, len(spec.classes)))


def _block(config: VggConfig, inputs: int, outputs: int, *, first: bool, pool: bool) -> list[nn.Module]:
    conv = conv3x3(config, inputs, outputs, reads_pixels=first)
    pooling = [nn.MaxPool2d(2)] if pool else []
    match config.order:
        case "conv-pool-bn-sign":
            return [conv, *pooling, nn.BatchNorm2d(outputs), activation(config)]
        case "conv-bn-sign-pool":
            return [conv, nn.BatchNorm2d(outputs), activation(config), *pooling]
        case "bn-sign-conv-pool":
            before = [] if first else [nn.BatchNorm2d(inputs), activation(config)]
            return [*before, conv, *pooling]


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
