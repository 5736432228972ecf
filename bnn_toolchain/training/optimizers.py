"""The optimizers of a stage: those of torch.optim by their names in lower case, and Bop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
    model_validator,
)
from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers import clip_latents_after_step, latent_weights
from bnn_toolchain.training.bop import BopOptimizer

if TYPE_CHECKING:
    from bnn_toolchain.training.config import Stage

BETAS = ("adam", "adamw", "adamax", "nadam", "radam")
"""Adam's family: ``momentum`` is beta1 and ``beta2`` beta2."""
FIRST_MOMENTS = {"muon": 0.95, "sgd": 0.0, "rmsprop": 0.0}
"""What ``momentum`` is, unless given, of the others that have one."""
FUSED = ("adam", "adamw", "sgd", "adagrad")


OptimizerName: TypeAlias = Literal[
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "radam",
    "rmsprop",
    "adadelta",
    "sgd",
    "adagrad",
    "asgd",
    "adafactor",
    "rprop",
    "muon",
]


class Optimizer(BaseModel):
    """An optimizer of torch.optim, all but LBFGS and SparseAdam: no network here has what they are for.

    Muon moves matrices alone, so it can be the ``optimizer`` of dense binary layers, beside a ``real_optimizer``.

    ``beta2`` is the decay of the second moment, the mean of squared gradients that adaptive methods divide by: the
    lower, the faster old gradients are forgotten. Adam's family calls it beta2, RMSprop alpha, Adadelta rho; it is 0.99
    unless given. Adagrad never forgets, and the others have none. ``momentum`` is the decay of the first moment: beta1
    of Adam's family, 0.9 unless given, and the momentum of Muon, 0.95, and of SGD and RMSprop, 0 unless given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: OptimizerName = "adam"
    lr: PositiveFloat
    beta2: Annotated[float, Field(ge=0, lt=1)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: NonNegativeFloat = 0.0

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        name = raw.get("name", "adam")
        second = 0.99 if name in (*BETAS, "rmsprop", "adadelta") else None
        first = 0.9 if name in BETAS else FIRST_MOMENTS.get(name)
        given = {key: value for key, value in raw.items() if value is not None}
        return {"beta2": second, "momentum": first} | given

    @model_validator(mode="after")
    def _is_consistent(self) -> Optimizer:
        if self.beta2 is not None and self.name not in (*BETAS, "rmsprop", "adadelta"):
            raise ValueError(f"{self.name} has no decay of a second moment: leave beta2 out")
        if self.momentum is not None and self.name not in (*BETAS, *FIRST_MOMENTS):
            raise ValueError(f"{self.name} has no decay of a first moment: leave momentum out")
        if self.weight_decay and self.name == "rprop":
            raise ValueError("rprop has no weight decay: leave weight_decay out")
        return self


class Bop(BaseModel):
    """Bop for the binary weights; ``lr`` is its adaptivity rate: :class:`bnn_toolchain.training.bop.BopOptimizer`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["bop"]
    lr: Annotated[float, Field(gt=0, le=1)]
    threshold: PositiveFloat = 1e-8


def _kind(raw: Any) -> str:
    name = raw.get("name") if isinstance(raw, dict) else getattr(raw, "name", None)
    return "bop" if name == "bop" else "torch.optim"


AnyOptimizer: TypeAlias = Annotated[
    Annotated[Optimizer, Tag("torch.optim")] | Annotated[Bop, Tag("bop")], Discriminator(_kind)
]


def make_optimizers(model: nn.Module, stage: Stage) -> list[tuple[torch.optim.Optimizer, float]]:
    """New optimizers for a stage, each with its learning rate; a parameter belongs to exactly one of them.

    Latent weights are a group of their own, which the latent clip keeps in if the stage says so.

    Raises:
        UsageError: muon would have to move parameters that are no matrices.
    """
    latent = latent_weights(model)
    real: dict[str, Any] = {"params": [p for name, p in model.named_parameters() if name not in latent]}
    binary: dict[str, Any] = {"params": list(latent.values()), "latent_clip": stage.latent_clip}
    if stage.real_optimizer is None:
        plan = [(stage.optimizer, [binary, real])]
    else:
        plan = [(stage.optimizer, [binary]), (stage.real_optimizer, [real])]
    optimizers = []
    for config, groups in plan:
        filled = [group for group in groups if group["params"]]
        if filled:
            if config.name == "muon":
                _refuse_all_but_matrices(model, filled)
            optimizer = _make(filled, config)
            clip_latents_after_step(optimizer)
            optimizers.append((optimizer, config.lr))
    return optimizers


def _make(groups: list[dict[str, Any]], config: Optimizer | Bop) -> torch.optim.Optimizer:
    if isinstance(config, Bop):
        return BopOptimizer(groups, config.lr, config.threshold)
    own: dict[str, Any] = {} if config.name == "rprop" else {"weight_decay": config.weight_decay}
    match config.name:
        case "adam" | "adamw" | "adamax" | "nadam" | "radam":
            own["betas"] = (config.momentum, config.beta2)
        case "rmsprop":
            own |= {"alpha": config.beta2, "momentum": config.momentum}
        case "adadelta":
            own["rho"] = config.beta2
        case "sgd" | "muon":
            own["momentum"] = config.momentum
        case _:
            pass
    if config.name in FUSED:
        own["fused"] = True  # one pass over the parameters instead of five
    kinds: dict[str, Any] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "adamax": torch.optim.Adamax,
        "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam,
        "rmsprop": torch.optim.RMSprop,
        "adadelta": torch.optim.Adadelta,
        "sgd": torch.optim.SGD,
        "adagrad": torch.optim.Adagrad,
        "asgd": torch.optim.ASGD,
        "adafactor": torch.optim.Adafactor,
        "rprop": torch.optim.Rprop,
        "muon": torch.optim.Muon,
    }
    optimizer: torch.optim.Optimizer = kinds[config.name](groups, lr=config.lr, **own)
    return optimizer


def _refuse_all_but_matrices(model: nn.Module, groups: list[dict[str, Any]]) -> None:
    wanted = {id(parameter) for group in groups for parameter in group["params"]}
    others = [f"{n} {list(p.shape)}" for n, p in model.named_parameters() if id(p) in wanted and p.ndim != 2]
    if others:
        raise UsageError(
            f"muon moves matrices alone, and cannot move {', '.join(others)}: give a real_optimizer for what is not "
            "binary, or another optimizer for binary convolutions"
        )
