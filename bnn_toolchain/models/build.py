"""From a typed configuration to a network."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field
from torch import nn

from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.models.mlp import MlpConfig, mlp
from bnn_toolchain.models.vgg import VggConfig, vgg

ModelConfig: TypeAlias = Annotated[MlpConfig | VggConfig, Field(discriminator="name")]


def build_network(config: MlpConfig | VggConfig, spec: InputSpec) -> nn.Module:
    """A new network for ``spec``: normalised float32 images [N, C, H, W] to logits [N, classes].

    The initial weights come from torch's global random generator.

    Raises:
        UsageError: the image does not fit the network.
    """
    match config:
        case MlpConfig():
            return mlp(config, spec)
        case VggConfig():
            return vgg(config, spec)


def float_config(config: MlpConfig | VggConfig) -> MlpConfig | VggConfig:
    """The configuration of the same network with float weights and ReLU: the yardstick for cost and accuracy."""
    return config.model_copy(update={"weights": "float", "activation": "relu"})
