"""One run of a study: done once, its outcome kept beside its checkpoints."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bnn_toolchain.data.splits import Splits
from bnn_toolchain.errors import CheckFailed, FileFormatError
from bnn_toolchain.files import SMALL_FILE, parse, read_bounded, write_atomically
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers.binary import BinaryLayer
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.evaluate import evaluate
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.run_folder import RunFolder
from bnn_toolchain.training.train import train


@dataclass(frozen=True)
class Outcome:
    """What a run came to; accuracies and shares are 0 to 1.

    ``diverged`` says why the loss was no longer finite, and is empty if it always was; a run that diverged counts with
    accuracy 0. ``test_accuracy`` is that of ``best_epoch``, the first with the highest validation accuracy.
    ``positive_share`` is the mean over binary layers of the share of +1 among the inputs, all ±1, that they read of
    the validation images; None if no layer reads signs.
    """

    diverged: str
    test_accuracy: float
    validation_accuracy: float
    best_epoch: int
    epochs: int
    seconds: float
    positive_share: float | None


def outcome_file(folder: Path) -> Path:
    """Where the outcome is; there when the run is finished."""
    return folder / "outcome.json"


def read_outcome(folder: Path) -> Outcome:
    """The outcome of a finished run.

    Raises:
        FileFormatError: the file is something else.
    """
    path = outcome_file(folder)
    try:
        return parse(Outcome, read_bounded(path, SMALL_FILE))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} holds what bnnt did not write there: {error}: delete {folder}") from error


def perform(recipe: Recipe, splits: Splits, folder: Path) -> None:
    """Train by ``recipe`` in ``folder``, going on where an earlier call was cut off, and write the outcome.

    Raises:
        BnntError: as :func:`bnn_toolchain.training.train.train`, but for a loss that is not finite: an outcome.
        OSError: the disk is full, or the folder cannot be written.
    """
    started = RunFolder(folder).recipe.exists()
    if folder.exists() and not started:  # cut off before there was anything to go on from
        shutil.rmtree(folder)
    try:
        summary = train(recipe, folder, resume=started, splits=splits)
    except CheckFailed as error:
        outcome = Outcome(str(error), 0.0, 0.0, 0, 0, 0.0, None)
    else:
        share = positive_share(load_run(folder).model, splits.validation.images, splits.spec)
        outcome = Outcome(
            diverged="",
            test_accuracy=summary.test_accuracy,
            validation_accuracy=summary.validation_accuracy,
            best_epoch=summary.best_epoch,
            epochs=summary.epochs,
            seconds=summary.seconds,
            positive_share=share,
        )
    write_atomically(outcome_file(folder), (json.dumps(asdict(outcome), indent=2) + "\n").encode())


def positive_share(model: nn.Module, images: np.ndarray[Any, np.dtype[np.uint8]], spec: InputSpec) -> float | None:
    """The mean over binary layers of the share of +1 among their inputs, for uint8 ``images`` [N, H, W, C].

    Measured where values are read, not where they are made: pooling may lie between. Layers that read pixels do not
    count; None if all do.
    """
    counts: dict[nn.Module, tuple[int, int]] = {}

    def count(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if bool((inputs[0].abs() == 1).all()):
            positive, every = counts.get(module, (0, 0))
            counts[module] = positive + int(torch.count_nonzero(inputs[0] > 0)), every + inputs[0].numel()

    hooks = [m.register_forward_pre_hook(count) for m in model.modules() if isinstance(m, BinaryLayer)]
    try:
        evaluate(model, torch.from_numpy(images), torch.zeros(len(images), dtype=torch.int64), spec)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(positive / every for positive, every in counts.values()) / len(counts) if counts else None
