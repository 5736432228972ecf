"""The training loop: stages of epochs, for any module of this package's layers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_toolchain.data.augment import augmented
from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.data.splits import Labelled, Splits
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.layers import flip_ratio, latent_weights, set_gradients
from bnn_toolchain.training import checkpoint
from bnn_toolchain.training.checkpoint import Progress
from bnn_toolchain.training.config import Stage, Training
from bnn_toolchain.training.evaluate import Evaluation, evaluate, normalised
from bnn_toolchain.training.folder import RunFolder
from bnn_toolchain.training.losses import loss_of
from bnn_toolchain.training.metrics import (
    Epoch,
    Summary,
    append_epoch,
    keep_epochs,
    read_epochs,
    read_summary,
    write_summary,
)
from bnn_toolchain.training.optimizers import learning_rate, make_optimizer
from bnn_toolchain.training.precision import autocast, resolve
from bnn_toolchain.training.watch import Watch, watching


@dataclass(frozen=True, eq=False)
class _Run:
    """What does not change during a run; the images lie on its device."""

    model: nn.Module
    training: Training
    spec: InputSpec
    folder: RunFolder
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    watch: Watch

    @property
    def batches(self) -> int:
        return len(self.train[1]) // self.training.batch_size


def fit(model: nn.Module, splits: Splits, training: Training, out: Path, *, resume: bool = False) -> Summary:
    """Train ``model``, normalised float32 images [N, C, H, W] to logits [N, classes], and leave its best state in it.

    The run is a function of the model's initial state, the images and ``training`` alone. ``out`` gets a checkpoint
    after every epoch; with ``resume`` an interrupted run goes on there, to the same numbers as if it had not been.
    Incomplete batches are left out, every epoch other images. The best epoch is the first with the highest
    accuracy on the validation images; there is no early stopping.

    Raises:
        UsageError: ``out`` is not empty, or is another run; the batches or the model do not fit the images.
        FileFormatError: a checkpoint to go on from is corrupt.
        CheckFailed: the loss is no longer finite; what was best before stays in ``out``.
    """
    folder = RunFolder(out)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training = training.model_copy(update={"precision": resolve(training.precision, device)})
    if len(splits.train) < training.batch_size:
        raise UsageError(f"batch_size {training.batch_size}: there are only {len(splits.train)} training images")
    model.to(device)
    if resume:
        folder.check_same(training, splits.spec)
    else:
        folder.start(training, splits.spec)
        checkpoint.write(folder.last, model, Progress())
    if folder.summary.exists():
        checkpoint.read(folder.best).restore_model(model)
        return read_summary(folder.summary)
    last = checkpoint.read(folder.last)
    last.restore_model(model)
    keep_epochs(folder.metrics, [each for each in read_epochs(folder.metrics) if each.epoch <= last.progress.epoch])
    epochs = sum(stage.epochs for stage in training.stages)
    with (
        watching(epochs, len(splits.train) // training.batch_size, last.progress.epoch) as watch,
        _own_random_numbers(),
    ):
        train, validation = (_on(device, part) for part in (splits.train, splits.validation))
        run = _Run(model, training, splits.spec, folder, train, validation, watch)
        watch.say(f"{splits.source}; {device.type}, {torch.get_num_threads()} threads, {training.precision} precision")
        progress = _stages(run, last)
    checkpoint.read(folder.best).restore_model(model)
    test = evaluate(model, *_on(device, splits.test), splits.spec)
    summary = Summary(
        test_accuracy=test.accuracy,
        validation_accuracy=progress.best_validation_accuracy,
        best_epoch=progress.best_epoch,
        epochs=progress.epoch,
        seconds=progress.seconds,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        seed=training.seed,
        device=f"{device.type}, {torch.get_num_threads()} threads",
        torch=torch.__version__,
        data=splits.source,
    )
    write_summary(folder.summary, summary)
    return summary


def _stages(run: _Run, last: checkpoint.Checkpoint) -> Progress:
    progress = last.progress
    try:
        for index in range(progress.stage, len(run.training.stages)):
            stage = run.training.stages[index]
            optimizer = make_optimizer(run.model, stage)
            if index == last.progress.stage:
                last.restore_optimizer(optimizer)
            else:
                progress = replace(progress, stage=index, stage_epoch=0)
            set_gradients(run.model, activations=stage.activation_gradient, weights=stage.weight_gradient)
            while progress.stage_epoch < stage.epochs:
                progress = _epoch(run, stage, optimizer, progress)
    except KeyboardInterrupt:
        run.watch.say(f"{progress.epoch} epochs are kept in {run.folder.path}: the same command with --resume goes on")
        raise
    return progress


def _epoch(run: _Run, stage: Stage, optimizer: torch.optim.Optimizer, progress: Progress) -> Progress:
    """One epoch, validated and written down: best, metrics, last, so that a kill between them loses nothing."""
    start = time.perf_counter()
    number = progress.epoch + 1
    before = {name: weight.detach().clone() for name, weight in latent_weights(run.model).items()}
    loss, accuracy, rate = _train(run, stage, optimizer, progress)
    evaluation = evaluate(run.model, *run.validation, run.spec)
    flips = {name: flip_ratio(before[name], weight) for name, weight in latent_weights(run.model).items()}
    weights = sum(weight.numel() for weight in before.values())
    seconds = time.perf_counter() - start
    done = Epoch(
        epoch=number,
        stage=progress.stage,
        loss=loss,
        accuracy=accuracy,
        validation_accuracy=evaluation.accuracy,
        flip_ratio=sum(flips[name] * weight.numel() for name, weight in before.items()) / max(1, weights),
        flip_ratios=flips,
        positive_shares=evaluation.positive_shares,
        learning_rate=rate,
        seconds=seconds,
    )
    progress = _after(progress, evaluation, seconds)
    if progress.best_epoch == number:
        checkpoint.write(run.folder.best, run.model, progress)
    append_epoch(run.folder.metrics, done)
    checkpoint.write(run.folder.last, run.model, progress, optimizer)
    run.watch.epoch(done)
    return progress


def _train(run: _Run, stage: Stage, optimizer: torch.optim.Optimizer, progress: Progress) -> tuple[float, float, float]:
    """All batches of one epoch: mean loss, accuracy, and the last learning rate."""
    images, labels = run.train
    size = run.training.batch_size
    number = progress.epoch + 1
    generator = torch.Generator().manual_seed(_epoch_seed(run.training.seed, number))
    torch.manual_seed(_epoch_seed(run.training.seed, number))  # for what a module draws, such as dropout
    order = torch.randperm(len(images), generator=generator).to(images.device)
    _train_mode(run.model, stage.batch_norm_momentum)
    total, right, rate = 0.0, torch.zeros((), dtype=torch.int64, device=images.device), 0.0
    for step in range(run.batches):
        index = order[step * size : (step + 1) * size]
        rate = learning_rate(
            stage.optimizer, stage.schedule, progress.stage_epoch * run.batches + step, stage.epochs * run.batches
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        pixels = augmented(images, index, run.training.augment, generator)
        with autocast(run.training.precision, pixels.device):
            logits = run.model(normalised(pixels, run.spec)).float()
        if logits.shape != (size, len(run.spec.classes)):
            raise UsageError(f"the model yields {list(logits.shape)} for [{size}, {len(run.spec.classes)}] logits")
        loss = loss_of(run.training.loss, logits, labels[index])
        value = loss.item()
        if not np.isfinite(value):
            kept = f"epoch {progress.best_epoch} is kept as best" if progress.best_epoch else "no epoch was finished"
            raise CheckFailed(
                f"the loss is {value} in epoch {number}, step {step + 1}: lower optimizer.lr (now {rate:.2e}); "
                f"{kept} in {run.folder.path}"
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += value
        right += torch.count_nonzero(logits.detach().argmax(1) == labels[index])
        run.watch.batch()
    return total / run.batches, int(right) / (run.batches * size), rate


def _after(progress: Progress, evaluation: Evaluation, seconds: float) -> Progress:
    best = evaluation.accuracy > progress.best_validation_accuracy
    return replace(
        progress,
        epoch=progress.epoch + 1,
        stage_epoch=progress.stage_epoch + 1,
        best_epoch=progress.epoch + 1 if best else progress.best_epoch,
        best_validation_accuracy=evaluation.accuracy if best else progress.best_validation_accuracy,
        seconds=progress.seconds + seconds,
    )


def _train_mode(model: nn.Module, norm_momentum: float) -> None:
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = norm_momentum
            module.train(norm_momentum > 0)


def _epoch_seed(seed: int, epoch: int) -> int:
    """Independent numbers for every pair; the state of no generator needs to be kept."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])


def _on(device: torch.device, part: Labelled) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(part.images).to(device), torch.from_numpy(part.labels).to(device)


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """The caller's global generators come back as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
