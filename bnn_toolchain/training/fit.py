"""The training of any module of this package's layers: stages of epochs, each written down before the next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bnn_toolchain.data.splits import Labelled, Splits
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import flip_ratio, latent_weights, unwrapped
from bnn_toolchain.training import checkpoint
from bnn_toolchain.training.checkpoint import RunState
from bnn_toolchain.training.config import Stage, Training
from bnn_toolchain.training.display import watching
from bnn_toolchain.training.epoch import RunSetup, train_epoch
from bnn_toolchain.training.evaluate import evaluate
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.metrics import (
    Epoch,
    Summary,
    append_epoch,
    keep_epochs,
    read_epochs,
    read_summary,
    write_summary,
)
from bnn_toolchain.training.precision import resolve
from bnn_toolchain.training.ready import check_model
from bnn_toolchain.training.run_folder import RunFolder
from bnn_toolchain.training.stages import start_stage
from bnn_toolchain.training.tensorboard import write_events


def fit(model: nn.Module, splits: Splits, training: Training, out: Path, *, resume: bool = False) -> Summary:
    """Train ``model``, normalised float32 images [N, C, H, W] to logits [N, classes], and leave its best state in it.

    Where torch.compile or a data-parallel class wraps the model, steps go through the wrapper, and what is kept is the
    module inside.

    The run is a function of the model's initial state, the images and ``training`` alone. ``out`` gets a checkpoint
    after every epoch; with ``resume`` an interrupted run goes on there, to the same numbers as if it had not been.
    Incomplete batches are left out, every epoch other images. The best epoch is the first with the highest
    accuracy on the validation images; unless a stage has a patience there is no early stopping.

    Raises:
        UsageError: ``out`` is not empty, or is another run or one on other images; the model, which is tried on two
            images before anything is written, does not make one logit for each class of them; the batches, the network
            to start from or the teacher do not fit the images.
        FileFormatError: a checkpoint to go on from is corrupt.
        CheckFailed: the loss is no longer finite; what was best before stays in ``out``.
        Unavailable: the recipe has its step compiled and there is no C++ compiler.
    """
    folder = RunFolder(out)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training = training.model_copy(update={"precision": resolve(training.precision, device)})
    if not isinstance(splits, Splits):
        raise UsageError(
            f"fit takes its images as Splits, not {type(splits).__name__}: bnn_toolchain.data.load.load_splits reads a "
            "data set, bnn_toolchain.data.splits.split makes them of arrays"
        )
    if len(splits.train) < training.batch_size:
        raise UsageError(f"batch_size {training.batch_size}: there are only {len(splits.train)} training images")
    given, model = model, unwrapped(model)
    model.to(device)
    with _own_random_numbers():
        check_model(model, splits.train.images, splits.spec, device)
    if resume:
        folder.check_same(training, splits)
    else:
        folder.claim()
        if training.init_from is not None:
            checkpoint.read(RunFolder(training.init_from).best).restore_model(model)
        checkpoint.write(folder.last, model, RunState())
        folder.describe(training, splits)  # from here on the folder is a run that can go on
    if folder.summary.exists():
        checkpoint.read(folder.best).restore_model(model)
        return read_summary(folder.summary)
    last = checkpoint.read(folder.last)
    last.restore_model(model)
    keep_epochs(folder.metrics, [epoch for epoch in read_epochs(folder.metrics) if epoch.epoch <= last.progress.epoch])
    teacher = _teacher(training, splits.spec, device)
    lengths = [stage.epochs for stage in training.stages]
    epochs = None if None in lengths else sum(length for length in lengths if length is not None)
    batches = len(splits.train) // training.batch_size
    with watching(epochs, batches, last.progress.epoch) as watch, _own_random_numbers():
        train, validation = (_on(device, part) for part in (splits.train, splits.validation))
        forward = torch.compile(given) if training.compile else given
        setup = RunSetup(model, forward, teacher, training, splits.spec, folder, train, validation, watch)
        watch.say(f"{splits.source}; {device.type}, {torch.get_num_threads()} threads, {training.precision} precision")
        for remark in splits.remarks:
            watch.say(remark)
        progress = _stages(setup, last)
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


def _stages(setup: RunSetup, last: checkpoint.Checkpoint) -> RunState:
    progress = last.progress
    try:
        for index in range(progress.stage, len(setup.training.stages)):
            stage = setup.training.stages[index]
            optimizers = start_stage(setup.model, stage)
            if index == last.progress.stage:
                for number, (optimizer, _) in enumerate(optimizers):
                    last.restore_optimizer(optimizer, number)
            else:
                progress = replace(progress, stage=index, stage_epoch=0, stage_best=-1.0, stale=0)
            while not _is_over(stage, progress):
                progress = _epoch(setup, stage, optimizers, progress)
    except KeyboardInterrupt:
        kept = f"{progress.epoch} epochs are kept in {setup.folder.path}"
        setup.watch.say(f"{kept}: the same command with --resume goes on")
        raise
    except RuntimeError as error:
        if setup.forward is setup.model or not type(error).__module__.startswith("torch._"):
            raise
        reason = str(error).splitlines()[0]
        raise Unavailable(
            f"torch.compile failed: {reason}: install g++ or another C++ compiler, or leave compile out"
        ) from error
    return progress


def _is_over(stage: Stage, progress: RunState) -> bool:
    ended = stage.epochs is not None and progress.stage_epoch >= stage.epochs
    return ended or (stage.patience is not None and progress.stale >= stage.patience)


def _epoch(setup: RunSetup, stage: Stage, optimizers: list[tuple[Optimizer, float]], progress: RunState) -> RunState:
    """One epoch, validated and written down: best, metrics, last, so that a kill between them loses nothing."""
    start = time.perf_counter()
    before = {name: weight.detach().clone() for name, weight in latent_weights(setup.model).items()}
    trained = train_epoch(setup, stage, optimizers, progress)
    evaluation = evaluate(setup.model, *setup.validation, setup.spec)
    flips = {name: flip_ratio(before[name], weight) for name, weight in latent_weights(setup.model).items()}
    weights = sum(weight.numel() for weight in before.values())
    done = Epoch(
        epoch=progress.epoch + 1,
        stage=progress.stage,
        loss=trained.loss,
        accuracy=trained.accuracy,
        validation_accuracy=evaluation.accuracy,
        flip_ratio=sum(flips[name] * weight.numel() for name, weight in before.items()) / max(1, weights),
        flip_ratios=flips,
        positive_shares=evaluation.positive_shares,
        learning_rate=trained.learning_rate,
        seconds=time.perf_counter() - start,
    )
    progress = _after(progress, done)
    if progress.best_epoch == done.epoch:
        checkpoint.write(setup.folder.best, setup.model, progress)
    append_epoch(setup.folder.metrics, done)
    write_events(setup.folder.events, read_epochs(setup.folder.metrics), setup.folder.recipe.stat().st_mtime)
    checkpoint.write(setup.folder.last, setup.model, progress, [optimizer for optimizer, _ in optimizers])
    setup.watch.epoch(done)
    return progress


def _after(progress: RunState, done: Epoch) -> RunState:
    accuracy = done.validation_accuracy
    best = accuracy > progress.best_validation_accuracy
    improved = accuracy > progress.stage_best
    return replace(
        progress,
        epoch=done.epoch,
        stage_epoch=progress.stage_epoch + 1,
        stage_best=accuracy if improved else progress.stage_best,
        stale=0 if improved else progress.stale + 1,
        best_epoch=done.epoch if best else progress.best_epoch,
        best_validation_accuracy=accuracy if best else progress.best_validation_accuracy,
        seconds=progress.seconds + done.seconds,
    )


def _teacher(training: Training, spec: InputSpec, device: torch.device) -> nn.Module | None:
    if training.distillation is None:
        return None
    run = load_run(training.distillation.teacher)
    if run.input_spec != spec:
        raise UsageError(f"distillation.teacher {training.distillation.teacher} was trained on other images or classes")
    return run.model.to(device)


def _on(device: torch.device, part: Labelled) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(part.images).to(device), torch.from_numpy(part.labels).to(device)


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """The caller's global generators come back as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
