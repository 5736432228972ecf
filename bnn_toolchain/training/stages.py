"""The start of a stage: the switches of its layers, and its optimizers."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from bnn_toolchain.layers import Gradient, clip_latents, set_gradients, set_stochastic
from bnn_toolchain.training.config import Stage
from bnn_toolchain.training.optimizers import make_optimizers


def start_stage(model: nn.Module, stage: Stage) -> list[tuple[Optimizer, float]]:
    """Set ``model`` up for ``stage``; its new optimizers, each with its learning rate.

    With the latent clip, latents outside [-1, 1] are clipped at once. All that follows keeps them inside, where the
    clipped weight gradient is the plain one, without its pass over all weights.

    Raises:
        UsageError: muon would have to move parameters that are no matrices.
    """
    weights = stage.weight_gradient
    if stage.latent_clip:
        clip_latents(model)
        weights = Gradient.PLAIN if weights is Gradient.CLIPPED else weights
    set_gradients(model, activations=stage.activation_gradient, weights=weights)
    set_stochastic(model, stage.stochastic_weights)
    return make_optimizers(model, stage)
