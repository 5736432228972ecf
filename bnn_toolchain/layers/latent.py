"""The latent weights of a model: which they are, their gradients' switches, their clip, how many change sign."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from bnn_toolchain.layers.binary import BinaryLayer
from bnn_toolchain.layers.sign import Gradient, Sign

CLIP = "latent_clip"
"""The key of an optimizer's parameter group that switches the clip of its parameters on."""


def latent_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The latent weights of all binary layers of ``model``, by parameter name."""
    return {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, BinaryLayer)
    }


def set_gradients(model: nn.Module, *, activations: Gradient | None = None, weights: Gradient | None = None) -> None:
    """Choose the sign's gradient for all binary activations, for all binary weights, or for both; None keeps it."""
    for module in model.modules():
        match module:
            case Sign() if activations is not None:
                module.gradient = activations
            case BinaryLayer() if weights is not None:
                module.gradient = weights


def set_stochastic(model: nn.Module, stochastic: bool) -> None:
    """Whether training draws the signs of all binary weights at random, as BinaryConnect may."""
    for module in model.modules():
        if isinstance(module, BinaryLayer):
            module.stochastic = stochastic


def clip_latents(model: nn.Module) -> None:
    """w = min(max(w, -1), 1) for all latent weights of ``model``, now."""
    for weight in latent_weights(model).values():
        weight.detach().clamp_(-1.0, 1.0)


def clip_latents_after_step(optimizer: Optimizer) -> RemovableHandle:
    """From now on each step ends with w = min(max(w, -1), 1) in the groups whose ``"latent_clip"`` is true.

    The switch lies in the parameter group, so it may be turned at any time and a checkpoint of the optimizer keeps it.
    The clip follows the step instead of being part of the forward pass, where it would end the gradient of weights
    outside [-1, 1] (Courbariaux, Bengio, David 2015, BinaryConnect, section 2.4).
    """
    return optimizer.register_step_post_hook(_clip)


def _clip(optimizer: Optimizer, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    for group in optimizer.param_groups:
        if group.get(CLIP, False):
            for parameter in group["params"]:
                parameter.detach().clamp_(-1.0, 1.0)


def flip_ratio(before: Tensor, after: Tensor) -> float:
    """The share of weights whose sign differs between two states of one latent tensor, 0 to 1."""
    return float(torch.count_nonzero((before >= 0) != (after >= 0))) / before.numel()
