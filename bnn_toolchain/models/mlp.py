"""The multi-layer perceptron of the binary-network papers: 784-2048-2048-2048-10 on MNIST."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.models.blocks import Numbers, classifier


class MlpConfig(Numbers):
    """``depth`` hidden layers of ``hidden`` units each."""

    name: Literal["mlp"] = "mlp"
    hidden: PositiveInt = 2048
    depth: int = Field(default=3, ge=0)


def mlp(config: MlpConfig, spec: InputSpec) -> nn.Sequential:
    """Images [N, C, H, W] to logits [N, classes]: flatten, then blocks of dense layer, batch norm and activation."""
    inputs = spec.height * spec.width * spec.channels
    hidden = (config.hidden,) * config.depth
    return nn.Sequential(nn.Flatten(), *classifier(config, inputs, hidden, len(spec.classes)))
