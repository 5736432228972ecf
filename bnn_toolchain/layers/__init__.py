"""The sign with its gradients, layers with binary weights, the clip of latent weights, the flip ratio."""

from bnn_toolchain.layers.binary import BinaryConv2d, BinaryLinear
from bnn_toolchain.layers.latent import (
    clip_latents,
    clip_latents_after_step,
    flip_ratio,
    latent_weights,
    set_gradients,
    set_stochastic,
)
from bnn_toolchain.layers.sign import Gradient, Sign, sign
from bnn_toolchain.layers.unwrapped import plain_names, unwrapped

__all__ = [
    "BinaryConv2d",
    "BinaryLinear",
    "Gradient",
    "Sign",
    "clip_latents",
    "clip_latents_after_step",
    "flip_ratio",
    "latent_weights",
    "plain_names",
    "set_gradients",
    "set_stochastic",
    "sign",
    "unwrapped",
]
