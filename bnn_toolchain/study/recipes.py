"""From a question's settings to the recipes of single runs, and the name of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias

import torch
import yaml

from bnn_toolchain.errors import UsageError
from bnn_toolchain.models import float_config
from bnn_toolchain.study.questions import Budget, Network, Setting
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.recipe import dump, load_recipe, validate

Raw: TypeAlias = dict[str, Any]

DECAY = 100.0
"""The learning rate falls exponentially by this factor over a run."""
FLOAT_RATE = 1e-3
"""The first learning rate of float networks, Adam's usual one."""
SMALL_IMAGES, SMALL_EPOCHS = 5556, 8
"""What a small budget leaves of a named recipe; a tenth of the images validates, so 5,000 train."""

SMALL: dict[Network, Raw] = {
    Network.MLP: {
        "data": {"source": "mnist", "limit": SMALL_IMAGES},
        "model": {"name": "mlp", "hidden": 256, "depth": 3},
        "batch_size": 100,
        "epochs": SMALL_EPOCHS,
        "optimizer": {"lr": 1e-2},
    },
    Network.VGG: {
        "data": {"source": "cifar10", "limit": SMALL_IMAGES},
        "model": {"name": "vgg", "stages": [[16], [32], [64]], "dense": [128]},
        "batch_size": 100,
        "epochs": 6,
        "optimizer": {"lr": 1e-2},
    },
}
FULL: dict[Network, str] = {Network.MLP: "mnist-mlp", Network.VGG: "cifar10-vgg-quarter"}


@dataclass(frozen=True)
class Base:
    """What all runs of a study share: a recipe with one stage; ``name`` says in words where it comes from."""

    name: str
    recipe: Recipe

    @property
    def epochs(self) -> int:
        """Epochs of a run that is not stopped early."""
        epochs = self.recipe.stages[0].epochs
        assert epochs is not None  # base_of made it so
        return epochs


def base_of(network: Network, recipe: str | None, budget: Budget) -> Base:
    """The base of a study: the recipe named, else the one of the network and budget.

    A recipe's stages become one like the first, of as many epochs as all together; a small budget cuts its images and
    epochs.

    Raises:
        UsageError: the recipe is wrong, or has no one learning rate to sweep or number of epochs to share out.
    """
    if recipe is None and budget == Budget.SMALL:
        return Base(f"the small {network}", validate(SMALL[network], Recipe, f"the small {network}"))
    name = recipe if recipe is not None else FULL[network]
    loaded = load_recipe(name)
    lengths = [stage.epochs for stage in loaded.stages]
    if None in lengths:
        raise UsageError(f"{name}: a study compares at equal numbers of epochs: give every stage its epochs")
    if loaded.stages[0].real_optimizer is not None:
        raise UsageError(f"{name}: a study sweeps one learning rate: leave real_optimizer out")
    epochs = sum(length for length in lengths if length is not None)
    data = loaded.data
    if budget == Budget.SMALL:
        epochs = min(epochs, SMALL_EPOCHS)
        data = data.model_copy(update={"limit": min(data.limit or SMALL_IMAGES, SMALL_IMAGES)})
    stage = loaded.stages[0].model_copy(update={"epochs": epochs, "patience": None})
    return Base(f"{name}, {budget} budget", loaded.model_copy(update={"data": data, "stages": (stage,)}))


def recipe_of(base: Base, setting: Setting, rate: float, seed: int) -> Recipe:
    """The recipe of one run. Its learning rate falls exponentially from ``rate`` to a hundredth, across all stages.

    Raises:
        UsageError: the setting does not fit the base.
    """
    raw = _raw(base.recipe)
    (template,) = raw.pop("stages")
    stages, done = [], 0.0
    for part in setting.parts:
        end = done + part.share
        stage = {**template, **part.stage}
        stage["epochs"] = round(end * base.epochs) - round(done * base.epochs)
        stage["optimizer"] = {**stage["optimizer"], "lr": rate * DECAY**-done}
        stage["schedule"] = {"kind": "exponential", "lr_final": rate * DECAY**-end}
        stages.append(stage)
        done = end
    return validate(_merged(raw, setting.recipe) | {"seed": seed, "stages": stages}, Recipe, f"'{setting.name}'")


def float_recipe_of(base: Base) -> Recipe:
    """The recipe of the base's float twin."""
    recipe = recipe_of(base, Setting("float", ()), FLOAT_RATE, 0)
    return recipe.model_copy(update={"model": float_config(recipe.model)})


def key_of(recipe: Recipe) -> str:
    """The name of a run: a hash of its resolved recipe, of the sources that it runs through and of torch's version."""
    return hashlib.sha256(f"{dump(recipe)}\n{code_version()}\n{torch.__version__}".encode()).hexdigest()[:16]


def code_version() -> str:
    """A hash of the sources that a run's numbers come from: layers, models, data and training."""
    digest = hashlib.sha256()
    for package in ("layers", "models", "data", "training"):
        files = sorted(resources.files(f"bnn_toolchain.{package}").iterdir(), key=lambda file: file.name)
        for file in files:
            if file.name.endswith(".py"):
                content = file.read_bytes()
                digest.update(f"{package}/{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _raw(recipe: Recipe) -> Raw:
    raw: Raw = yaml.safe_load(dump(recipe))
    return raw


def _merged(raw: Raw, changes: Mapping[str, Any]) -> Raw:
    merged = dict(raw)
    for key, value in changes.items():
        inside = merged.get(key)
        merged[key] = _merged(inside, value) if isinstance(inside, dict) and isinstance(value, Mapping) else value
    return merged
