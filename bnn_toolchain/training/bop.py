"""Bop, the optimizer of binary weights that keeps no latent ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class BopOptimizer(Optimizer):
    """Flips a weight when a running mean of its gradients agrees with its sign and exceeds a threshold.

    m ← (1 - g) m + g ∇,  w ← -w where |m| > t and sign(m) = sign(w) (Helwegen et al. 2019, Latent Weights Do Not Exist,
    algorithm 1). ``lr`` is g, the adaptivity rate; ``threshold`` is t. Parameters become +1 and -1 when they are given.
    """

    def __init__(self, params: Any, lr: float, threshold: float) -> None:
        super().__init__(params, {"lr": lr, "threshold": threshold})
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.copy_(torch.where(parameter >= 0, 1.0, -1.0))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            rate, threshold = group["lr"], group["threshold"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["mean"] = torch.zeros_like(parameter)
                mean = state["mean"].lerp_(parameter.grad, rate)
                flips = (mean * parameter) > threshold  # the weight is ±1, so this is |m| > t with equal signs
                parameter.mul_(torch.where(flips, -1.0, 1.0))
