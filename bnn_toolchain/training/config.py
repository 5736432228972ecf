"""The training procedure as typed configuration: stages, and what they share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from bnn_toolchain.data.augment import Augment
from bnn_toolchain.data.config import DataConfig
from bnn_toolchain.layers import Gradient
from bnn_toolchain.models import ModelConfig
from bnn_toolchain.training.precision import Precision


class Config(BaseModel):
    """Unknown fields are errors, and nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Optimizer(Config):
    """Adam. ``beta2`` is the decay of its second moment: the lower, the faster it forgets old squares of gradients."""

    name: Literal["adam"] = "adam"
    lr: PositiveFloat
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99


class Schedule(Config):
    """The learning rate over a stage's steps: ``constant``, or ``exponential`` from lr to ``lr_final``."""

    kind: Literal["constant", "exponential"] = "constant"
    lr_final: PositiveFloat | None = None


class Stage(Config):
    """A part of the training with settings of its own; each starts with a new optimizer.

    ``activation_gradient`` and ``weight_gradient`` say what stands in for the derivative of a sign (``plain``, or
    ``clipped`` to inputs in [-1, 1]); ``latent_clip`` keeps latent weights in [-1, 1]. ``batch_norm_momentum`` is the
    weight of a new batch in the running statistics; 0 freezes them, and the stage trains with them, as evaluation does.
    """

    epochs: PositiveInt
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    activation_gradient: Gradient = Gradient.CLIPPED
    weight_gradient: Gradient = Gradient.CLIPPED
    latent_clip: bool = True
    batch_norm_momentum: Annotated[float, Field(ge=0, le=1)] = 0.1


class Training(Config):
    """Everything that a run depends on besides its images and its network.

    ``stages`` follow one another; a recipe may write what they share, or a single stage, at the top level.
    ``precision`` is that of training steps: ``mixed`` is bf16 autocast with integer products of binary values, ``auto``
    becomes ``mixed`` where the processor has bf16 instructions, else ``fp32``. Evaluation and export are always fp32.
    """

    seed: NonNegativeInt = 0
    batch_size: Annotated[int, Field(ge=2)] = 100
    loss: Literal["squared_hinge", "cross_entropy"] = "squared_hinge"
    augment: Augment = Augment()
    precision: Precision = "auto"
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]


class Recipe(Training):
    """A whole run: a pure function of this and of the code."""

    data: DataConfig
    model: ModelConfig
