"""One epoch of training steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from bnn_toolchain.data.augment import augmented
from bnn_toolchain.errors import CheckFailed
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.training.checkpoint import RunState
from bnn_toolchain.training.config import Stage, Training
from bnn_toolchain.training.display import Watch
from bnn_toolchain.training.evaluate import normalised
from bnn_toolchain.training.losses import distilled, loss_of
from bnn_toolchain.training.precision import autocast
from bnn_toolchain.training.ready import logits_of
from bnn_toolchain.training.run_folder import RunFolder
from bnn_toolchain.training.schedule import factor


@dataclass(frozen=True, eq=False)
class RunSetup:
    """What does not change during a run; images, uint8 [N, H, W, C], and labels lie on its device.

    ``forward`` is the model, or what a compiler made of it.
    """

    model: nn.Module
    forward: Callable[[Tensor], Tensor]
    teacher: nn.Module | None
    training: Training
    spec: InputSpec
    folder: RunFolder
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    watch: Watch

    @property
    def batches(self) -> int:
        """Training steps of an epoch."""
        return len(self.train[1]) // self.training.batch_size


@dataclass(frozen=True)
class Trained:
    """Means over the batches of an epoch, and its last learning rate."""

    loss: float
    accuracy: float
    learning_rate: float


def train_epoch(
    setup: RunSetup, stage: Stage, optimizers: list[tuple[Optimizer, float]], progress: RunState
) -> Trained:
    """All batches of the epoch that follows ``progress``.

    Raises:
        CheckFailed: the loss is not finite.
        UsageError: the model does not yield one logit a class.
    """
    images, labels = setup.train
    size = setup.training.batch_size
    seed = _epoch_seed(setup.training.seed, progress.epoch + 1)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # for what a module draws, such as dropout or stochastic weights
    order = torch.randperm(len(images), generator=generator).to(images.device)
    _train_mode(setup.model, stage.batch_norm_momentum)
    total, right, rate = 0.0, torch.zeros((), dtype=torch.int64, device=images.device), 0.0
    for step in range(setup.batches):
        rate = _set_rates(setup, stage, optimizers, progress, step)
        index = order[step * size : (step + 1) * size]
        logits, loss = _forward(setup, augmented(images, index, setup.training.augment, generator), labels[index])
        value = loss.item()
        if not np.isfinite(value):
            kept = f"epoch {progress.best_epoch} is kept as best" if progress.best_epoch else "no epoch was finished"
            raise CheckFailed(
                f"the loss is {value} in epoch {progress.epoch + 1}, step {step + 1}: lower optimizer.lr "
                f"(now {rate:.2e}); {kept} in {setup.folder.path}"
            )
        for optimizer, _ in optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer, _ in optimizers:
            optimizer.step()
        total += value
        right += torch.count_nonzero(logits.argmax(1) == labels[index])
        setup.watch.batch()
    return Trained(total / setup.batches, int(right) / (setup.batches * size), rate)


def _forward(setup: RunSetup, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [N, classes], detached, and the loss."""
    x = normalised(pixels, setup.spec)
    with autocast(setup.training.precision, pixels.device):
        logits = logits_of(setup.forward(x), len(labels), len(setup.spec.classes), "training").float()
    loss = loss_of(setup.training.loss, logits, labels)
    distillation = setup.training.distillation
    if distillation is not None and setup.teacher is not None:
        with torch.no_grad():
            teacher = setup.teacher(x)
        loss = distilled(loss, logits, teacher, distillation.weight, distillation.temperature)
    return logits.detach(), loss


def _set_rates(
    setup: RunSetup, stage: Stage, optimizers: list[tuple[Optimizer, float]], progress: RunState, step: int
) -> float:
    done = progress.stage_epoch * setup.batches + step
    times = factor(stage.schedule, stage.optimizer.lr, done, (stage.epochs or 1) * setup.batches, progress.stage_epoch)
    for optimizer, lr in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr * times
    return stage.optimizer.lr * times


def _train_mode(model: nn.Module, norm_momentum: float) -> None:
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = norm_momentum
            module.train(norm_momentum > 0)


def _epoch_seed(seed: int, epoch: int) -> int:
    """Independent numbers for every pair; the state of no generator needs to be kept."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
