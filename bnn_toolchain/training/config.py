"""The training procedure as typed configuration: stages, and what they share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from bnn_toolchain.data.augment import Augment
from bnn_toolchain.data.config import DataConfig, Place
from bnn_toolchain.layers import Gradient
from bnn_toolchain.models import ModelConfig
from bnn_toolchain.training.optimizers import AnyOptimizer, Bop, Optimizer
from bnn_toolchain.training.precision import Precision
from bnn_toolchain.training.schedule import Schedule


class Config(BaseModel):
    """Unknown fields are errors, and nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Stage(Config):
    """A part of the training with settings of its own; each starts with a new optimizer.

    It ends after ``epochs``, or once validation has not improved for ``patience`` epochs, whichever comes first.
    ``optimizer`` moves all parameters, or the latent weights alone if ``real_optimizer`` moves the others; learning
    rates follow ``schedule`` in proportion. ``activation_gradient`` and ``weight_gradient`` say what stands in for the
    derivative of a sign, see :class:`bnn_toolchain.layers.Gradient`; ``latent_clip`` keeps latent weights in [-1, 1];
    ``stochastic_weights`` draws their signs in training. ``batch_norm_momentum`` is the weight of a new batch in the
    running statistics; 0 freezes them, and the stage trains with them, as evaluation does.
    """

    epochs: PositiveInt | None = None
    patience: PositiveInt | None = None
    optimizer: AnyOptimizer
    real_optimizer: Optimizer | None = None
    schedule: Schedule = Schedule()
    activation_gradient: Gradient = Gradient.CLIPPED
    weight_gradient: Gradient = Gradient.CLIPPED
    latent_clip: bool = True
    stochastic_weights: bool = False
    batch_norm_momentum: Annotated[float, Field(ge=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _is_consistent(self) -> Stage:
        if self.epochs is None and self.patience is None:
            raise ValueError("a stage that never ends: give epochs, patience or both")
        if self.epochs is None and self.schedule.kind in ("exponential", "cosine"):
            raise ValueError(f"the schedule {self.schedule.kind} needs to know how long the stage is: give epochs")
        if isinstance(self.optimizer, Bop):
            if self.latent_clip:
                raise ValueError("bop has no latent weights to clip: set latent_clip to false")
            if self.real_optimizer is None:
                raise ValueError("bop moves binary weights alone: give a real_optimizer for the other parameters")
        return self


class Distillation(Config):
    """The run folder of a trained network to learn from; see :func:`bnn_toolchain.training.losses.distilled`."""

    teacher: Place
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: PositiveFloat = 4.0


class Training(Config):
    """Everything that a run depends on besides its images and its network.

    ``stages`` follow one another; a recipe may write what they share, or a single stage, at the top level.
    ``init_from`` names a run folder whose best weights the network starts from, such as that of its float twin.
    ``precision`` is that of training steps: ``mixed`` is bf16 autocast with integer products of binary values, ``auto``
    becomes ``mixed`` where the processor has bf16 instructions, else ``fp32``. Evaluation and export are always fp32.
    ``compile`` has torch.compile make one program of a step: it takes a minute and needs a C++ compiler. Whether that
    pays depends on the network and the threads: ``python -m bnn_toolchain.training.step_benchmark --compile`` tells.
    """

    seed: NonNegativeInt = 0
    batch_size: Annotated[int, Field(ge=2)] = 100
    loss: Literal["squared_hinge", "cross_entropy"] = "squared_hinge"
    distillation: Distillation | None = None
    augment: Augment = Augment()
    init_from: Place | None = None
    precision: Precision = "auto"
    compile: bool = False
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]


class Recipe(Training):
    """A whole run: a pure function of this and of the code."""

    data: DataConfig
    model: ModelConfig
