"""A recipe in, a run folder out."""

from __future__ import annotations

from pathlib import Path

import torch

from bnn_toolchain.data.load import load_splits
from bnn_toolchain.data.splits import Splits
from bnn_toolchain.models import build_network
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.metrics import Summary


def train(recipe: Recipe, out: Path, *, resume: bool = False, splits: Splits | None = None) -> Summary:
    """Train the recipe's network on its images; :func:`bnn_toolchain.training.fit.fit` has the details and errors.

    ``splits`` are those images, if they have been read before.
    """
    splits = load_splits(recipe.data) if splits is None else splits
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build_network(recipe.model, splits.spec)
    return fit(model, splits, recipe, out, resume=resume)
