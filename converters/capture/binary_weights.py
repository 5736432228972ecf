"""Weights that are binary, recognised by their values, whatever code of the user's made them so."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEARLY = 2.0**-20
"""sign(w) - w + w, with a detach for its gradient, misses 1 by some roundings: less than this, relative."""


@dataclass(frozen=True, eq=False)
class BinaryWeights:
    """Weights [O, …] that are ``signs`` times one positive scale for each output."""

    signs: Tensor  # float32, the weights' shape, +1 and -1
    scale: Tensor | None  # float32 [O]; None where all are 1
    exact: bool  # whether a sum of integers with these weights, as torch takes it, has no rounding


def binary_weights(weight: Tensor) -> BinaryWeights | None:
    """``weight`` [O, …] as binary weights, or None if it is none: two magnitudes for one output, or all its weights 0.

    One weight for an output makes a layer binary only if it is +1 or -1: any number is a sign times a scale.
    """
    flat = weight.detach().to(torch.float32).flatten(1)
    magnitude = flat.abs()
    scale = magnitude[:, 0]
    if not torch.all(torch.isfinite(flat)) or not torch.all(scale > 0):
        return None
    if torch.any((magnitude - scale[:, None]).abs() > NEARLY * scale[:, None]):
        return None
    near_one = bool(torch.all((scale - 1).abs() <= NEARLY))
    if near_one:
        scale = torch.ones_like(scale)
    elif flat.shape[1] == 1:
        return None
    elif torch.any(magnitude != scale[:, None]):
        scale = magnitude.median(1).values
    exact = bool(torch.all(magnitude == scale[:, None]) and torch.all(torch.frexp(scale).mantissa == 0.5))
    return BinaryWeights(torch.where(weight.detach() >= 0, 1.0, -1.0), None if near_one else scale, exact)
