"""What all models share: the choice of weights and hidden activations, and the layers that follow from it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import nn

from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign


class Numbers(BaseModel):
    """Which values are binary: ``weights`` of all layers, and the hidden ``activation`` (sign, or ReLU for real ones).

    Binary weights with ReLU are the weight-only networks of BinaryConnect; float weights with ReLU are an ordinary one.
    ``scaled`` multiplies each output channel of a binary layer by the mean of its latent weights' magnitudes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    weights: Literal["binary", "float"] = "binary"
    activation: Literal["sign", "relu"] = "sign"
    scaled: bool = False


def dense(numbers: Numbers, inputs: int, outputs: int) -> nn.Module:
    """A dense layer [N, inputs] to [N, outputs] without bias."""
    if numbers.weights == "float":
        return nn.Linear(inputs, outputs, bias=False)
    return BinaryLinear(inputs, outputs, scaled=numbers.scaled)


def conv3x3(numbers: Numbers, inputs: int, outputs: int, *, reads_pixels: bool) -> nn.Module:
    """A 3x3 convolution that keeps height and width; it pads with +1 where it reads signs, else with 0."""
    if numbers.weights == "float":
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    pad_value = 1 if numbers.activation == "sign" and not reads_pixels else 0
    return BinaryConv2d(inputs, outputs, 3, padding=1, pad_value=pad_value, scaled=numbers.scaled)


def activation(numbers: Numbers) -> nn.Module:
    """The hidden activation, which keeps the shape."""
    return Sign() if numbers.activation == "sign" else nn.ReLU()


def classifier(numbers: Numbers, inputs: int, hidden: tuple[int, ...], classes: int) -> list[nn.Module]:
    """Dense layers [N, inputs] to logits [N, classes], each with its batch norm, activations between them."""
    layers: list[nn.Module] = []
    for outputs in hidden:
        layers += [dense(numbers, inputs, outputs), nn.BatchNorm1d(outputs), activation(numbers)]
        inputs = outputs
    return [*layers, dense(numbers, inputs, classes), nn.BatchNorm1d(classes)]
