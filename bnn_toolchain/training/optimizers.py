"""An optimizer for a stage, and the learning rate over its steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnn_toolchain.layers import clip_latents_after_step, latent_weights
from bnn_toolchain.training.config import Optimizer, Schedule, Stage


def make_optimizer(model: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    """A new optimizer with two parameter groups: latent weights, which the latent clip may keep in, and real ones."""
    latent = latent_weights(model)
    real = [parameter for name, parameter in model.named_parameters() if name not in latent]
    groups: list[dict[str, Any]] = [
        {"params": list(latent.values()), "latent_clip": stage.latent_clip},
        {"params": real},
    ]
    optimizer = _adam([group for group in groups if group["params"]], stage.optimizer)
    clip_latents_after_step(optimizer)
    return optimizer


def learning_rate(optimizer: Optimizer, schedule: Schedule, step: int, steps: int) -> float:
    """The learning rate of ``step``, 0 to ``steps`` - 1 of the stage; exponential decay ends exactly at lr_final."""
    if schedule.kind == "constant" or schedule.lr_final is None:
        return optimizer.lr
    part = step / max(1, steps - 1)
    return float(optimizer.lr * (schedule.lr_final / optimizer.lr) ** part)


def _adam(groups: list[dict[str, Any]], config: Optimizer) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True)
