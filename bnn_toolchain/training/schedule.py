"""How the learning rate changes over a stage."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator


class Schedule(BaseModel):
    """Constant; exponential or cosine from lr to ``lr_final``; or step: every ``every`` epochs times ``factor``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["constant", "exponential", "cosine", "step"] = "constant"
    lr_final: PositiveFloat | None = None
    every: PositiveInt | None = None
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Schedule:
        decays = self.kind in ("exponential", "cosine")
        if decays != (self.lr_final is not None):
            raise ValueError(f"{self.kind}: lr_final belongs to the kinds exponential and cosine, which need it")
        if (self.kind == "step") != (self.every is not None and self.factor is not None):
            raise ValueError(f"{self.kind}: every and factor belong to the kind step, which needs both")
        if self.kind != "step" and (self.every is not None or self.factor is not None):
            raise ValueError(f"{self.kind}: every and factor belong to the kind step")
        return self


def factor(schedule: Schedule, lr: float, step: int, steps: int, epoch: int) -> float:
    """What multiplies the learning rate ``lr`` in ``step``, 0 to ``steps`` - 1 of the stage, in its ``epoch`` from 0.

    With p = step / (steps - 1) and f = lr_final / lr: exponential f^p, cosine f + (1 - f)(1 + cos(pi p)) / 2.
    """
    match schedule.kind:
        case "constant":
            return 1.0
        case "step":
            assert schedule.factor is not None and schedule.every is not None  # validated
            return schedule.factor ** (epoch // schedule.every)
        case "exponential" | "cosine":
            assert schedule.lr_final is not None  # validated
            part, last = step / max(1, steps - 1), schedule.lr_final / lr
            if schedule.kind == "exponential":
                return float(last**part)
            return last + (1 - last) * (1 + math.cos(math.pi * part)) / 2
