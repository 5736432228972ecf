"""What the commands do, as plain functions that a notebook can call too: one function a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.model_path import open_model, untrained
from bnn_toolchain.packages import named_packages, require_extra
from bnn_toolchain.progress import Announce, Progress, silent, uncounted

if TYPE_CHECKING:
    from torch import nn

    from bnn_toolchain.converters.cost import Cost
    from bnn_toolchain.converters.graph.graph import Graph
    from bnn_toolchain.runtime.bundle.format import Bundle
    from bnn_toolchain.runtime.checks.bench_record import Benchmark
    from bnn_toolchain.runtime.checks.validate import Contender, ValidationReport
    from bnn_toolchain.runtime.devices.device import Device
    from bnn_toolchain.runtime.engines.names import EngineName
    from bnn_toolchain.runtime.targets.target import Target
    from bnn_toolchain.study.questions import Budget, QuestionName
    from bnn_toolchain.study.study import Study
    from bnn_toolchain.training.metrics import Summary

FORMATS = ("onnx", "lce", "native")
HIDDEN_IMAGES = 100  # of which hidden bits are compared on this machine


def train_recipe(recipe: str, out: Path, settings: Sequence[str] = (), resume: bool = False) -> Summary:
    """Train by the recipe called so, or in the YAML file, with ``settings`` such as "optimizer.lr=3e-3", into ``out``.

    Raises:
        UsageError: no such recipe, a wrong setting, or a folder that holds something else.
        As :func:`bnn_toolchain.training.train.train`.
    """
    from bnn_toolchain.training.recipe import load_recipe
    from bnn_toolchain.training.train import train

    return train(load_recipe(recipe, tuple(settings)), out, resume=resume)


def ask_question(
    question: QuestionName,
    out: Path,
    *,
    recipe: str | None = None,
    budget: Budget,
    seeds: int = 3,
    jobs: int = 1,
    progress: Progress = uncounted,
) -> Study:
    """Ask a question of the paper again, and write report.md, table.csv, summary.json and figure.svg to ``out``.

    Raises:
        Unavailable: matplotlib or scipy is not installed.
        As :func:`bnn_toolchain.study.study.study`.
    """
    require_extra("study", "matplotlib", "scipy")  # before minutes are spent
    from bnn_toolchain.study.report import write_report
    from bnn_toolchain.study.study import study

    answer = study(question, out, recipe=recipe, budget=budget, seeds=seeds, jobs=jobs, progress=progress)
    named = f" --recipe {recipe}" if recipe is not None else ""
    write_report(answer, out, f"bnnt study {question.value}{named} --budget {budget.value} --seeds {seeds}")
    return answer


def inspect_model(path: Path) -> Cost:
    """What the model ``path`` costs; see :mod:`bnn_toolchain.converters.cost`.

    Raises:
        As :func:`bnn_toolchain.model_path.open_model`.
    """
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.converters.cost import cost_of

    graph = open_model(path)
    return cost_of(graph, path.stat().st_size if path.is_file() else len(onnx.to_bytes(graph)))


def formats_from(text: str, targets: bool) -> frozenset[str]:
    """The formats that ``text`` lists, such as "lce,native"; ``targets`` says whether some were asked for.

    onnx need not be listed: every bundle holds model.onnx.

    Raises:
        UsageError: an unknown format, or targets without native.
    """
    chosen = frozenset(part.strip() for part in text.split(","))
    if unknown := chosen.difference(FORMATS):
        raise UsageError(f"no format is called '{sorted(unknown)[0]}': choose from {', '.join(FORMATS)}")
    if targets and "native" not in chosen:
        raise UsageError(f"--format {text}: a target is what the native engine is built for: add native")
    return chosen


def export_model(
    model: Path,
    out: Path,
    targets: Sequence[Target],
    tflite: bool,
    announce: Announce,
    *,
    data: Path | None = None,
    use_data: bool = True,
) -> Bundle:
    """Export a training run's best checkpoint, or a model file, as the bundle ``out``; with ``tflite`` also for LCE.

    The test images of a run are read from ``data``, or if it is None from where they were. Without ``use_data``, and
    for a model file, which has none, golden images are random, and accuracy is not measured.

    Raises:
        UsageError: the test images are not those that the run was tested on.
        As :func:`bnn_toolchain.training.load.load_run`, :func:`bnn_toolchain.converters.convert` and
        :func:`bnn_toolchain.runtime.export.export_bundle`.
    """
    from bnn_toolchain.evaluation_images import images_of_run, random_test_images
    from bnn_toolchain.runtime.bundle.source import source_of
    from bnn_toolchain.runtime.export import export_bundle

    if (model / "manifest.json").is_file():
        raise UsageError(f"{model} is a bundle already: give its model.onnx, or the run that it was exported from")
    if not model.is_file() and not (model / "recipe.yaml").is_file():
        raise UsageError(f"{model} is neither a run folder of bnnt train nor an .onnx or .tflite file: give one")
    if data is not None and (model.is_file() or not use_data):
        raise UsageError("--data says where the test images of a run are: leave it out for a file, or with --no-data")
    if model.is_file():
        graph = open_model(model)
        announce(f"{model} comes without test images: golden images are random, accuracy is not measured")
        test = random_test_images(graph.spec)
        return export_bundle(graph, out, test=test, targets=targets, tflite=tflite, announce=announce)
    from bnn_toolchain.converters import convert
    from bnn_toolchain.training.config import Recipe
    from bnn_toolchain.training.load import load_run

    trained = load_run(model)
    if not isinstance(trained.training, Recipe):
        raise UsageError(
            f"{model} is a run of a module of your own: examples/own_module.py shows how to export one from Python"
        )
    if use_data:
        test = images_of_run(model, trained.training, data, announce)
    else:
        announce("without test images: golden images are random, accuracy is not measured")
        test = random_test_images(trained.input_spec)
    announce("lowering the trained network to integers, and comparing it with the module")
    graph = convert(trained.model, trained.input_spec, images=test.images, announce=announce)
    source = source_of(model, out)
    return export_bundle(graph, out, test=test, source=source, targets=targets, tflite=tflite, announce=announce)


def validate_model(
    model: Path,
    engines: Sequence[str] = (),
    device: str = "local",
    samples: int | None = None,
    hidden: int | None = None,
    *,
    module: nn.Module | None = None,
    threads: int = 1,
    announce: Announce = silent,
    progress: Progress = uncounted,
    sending: Progress = uncounted,
) -> ValidationReport:
    """Compare ``engines`` on ``device`` with the reference, on the first ``samples`` test images (None: all).

    Without ``engines`` they are native and, on this machine, torch if the bundle's training run is still there.
    ``module`` is a trained module of the user's own, which the torch engine then runs: normalised float32 images
    [N, C, H, W] to logits. ``threads`` are the native engine's. The bits of hidden activations are compared on the
    first ``hidden`` of the images; if it is None on 100 of them, and on a device, which sends digests, on all. There
    the golden vectors are checked first.

    The images are those that the run of a bundle's model was tested on; if it or they are not there any more, or
    changed, the bundle's golden images. A model file is compared on random ones. ``announce`` is told; ``progress``
    the number of images, ``sending`` how many bytes of a file went to the device.

    Raises:
        UsageError: a name that does not exist, an engine that the device does not run, or a module that cannot run.
        Unavailable: an engine or device that is not installed.
        FileFormatError: a file is truncated, corrupt or foreign.
        CheckFailed: an engine's answers have not even the right form; others are in the report.
    """
    from bnn_toolchain.runtime.bundle.format import open_bundle
    from bnn_toolchain.runtime.devices.device import open_device
    from bnn_toolchain.runtime.engines.names import engine_name

    names = [engine_name(engine) for engine in engines or ["native"] if module is None or engine != "torch"]
    opened = open_model(model) if model.is_file() else open_bundle(model)  # before a device is asked for anything
    with open_device(device, announce, sending) as where:
        hidden = hidden if hidden is not None else HIDDEN_IMAGES if where.here else sys.maxsize
        return _compare(
            model,
            opened,
            names,
            where,
            samples,
            and_trained=not engines,
            hidden=hidden,
            module=module,
            threads=threads,
            announce=announce,
            progress=progress,
        )


def _compare(
    model: Path,
    opened: Graph | Bundle,
    names: Sequence[EngineName],
    where: Device,
    samples: int | None,
    *,
    and_trained: bool,
    hidden: int,
    module: nn.Module | None,
    threads: int,
    announce: Announce,
    progress: Progress,
) -> ValidationReport:
    from bnn_toolchain.evaluation_images import RANDOM_IMAGES, images_of_bundle, random_images
    from bnn_toolchain.runtime.bundle.format import Bundle
    from bnn_toolchain.runtime.checks.validate import validate
    from bnn_toolchain.runtime.contenders import (
        bundle_contender,
        check_golden_there,
        file_contenders,
        module_contender,
    )

    if not isinstance(opened, Bundle):
        announce(f"{model} comes without test images: comparing on random ones, without labels")
        images = random_images(opened.spec, samples or RANDOM_IMAGES)
        contenders = file_contenders(model, opened, names, where, threads)
        contenders += [module_contender(module, opened)] if module is not None else []
        return validate(opened, contenders, images, hidden_images=hidden, progress=progress)
    contenders = [bundle_contender(opened, name, where, threads=threads) for name in names]
    if not where.here:
        for contender in contenders:
            if contender.engine == "native":
                announce(check_golden_there(opened, contender))
    if module is not None:
        contenders.append(module_contender(module, opened.graph))
    elif and_trained and where.here:
        contenders += _trained(opened, where, announce)
    test = images_of_bundle(opened, announce)
    labels = None if test is None else test.labels[:samples]
    images = (opened.golden.images if test is None else test.images)[:samples]
    return validate(opened.graph, contenders, images, labels, hidden_images=hidden, progress=progress)


def _trained(bundle: Bundle, device: Device, announce: Announce) -> list[Contender]:
    """The trained module, if the training run is still there; else say why not."""
    from bnn_toolchain.runtime.contenders import bundle_contender

    try:
        with named_packages():
            return [bundle_contender(bundle, "torch", device)]
    except (Unavailable, UsageError) as error:
        announce(f"torch, the trained module itself, is left out: {error}")
        return []


def module_for(model: Path, text: str, announce: Announce = silent) -> nn.Module:
    """The module of the user's own that ``text``, FILE:NAME, stands for, to compare with ``model``; the file runs.

    It gets the weights of the training run that a bundle names, if that is there, else it keeps its own.

    Raises:
        UsageError: the file has no such module, or the run's checkpoint has changed since the export.
        FileFormatError: the run is of another network.
        Unavailable: torch is not installed.
    """
    with named_packages():
        from bnn_toolchain.own_module import load_module
        from bnn_toolchain.training.load import load_run
    from bnn_toolchain.runtime.bundle.format import open_bundle
    from bnn_toolchain.runtime.bundle.source import exported_run, run_folder

    module = load_module(text, open_model(model).spec)
    if model.is_file() or run_folder(bundle := open_bundle(model)) is None:
        announce(f"{text} keeps its own weights: {model} names no training run that is here")
        return module
    run = exported_run(bundle)
    announce(f"{text} gets the weights of {run}")
    return load_run(run, model=module).model


def bench_model(
    model: str,
    device: str = "local",
    *,
    rivals: Sequence[str] | None = None,
    batch: int = 1,
    threads: int = 1,
    lce_binary: Path | None = None,
    announce: Announce = silent,
    progress: Progress = uncounted,
    sending: Progress = uncounted,
) -> Benchmark:
    """Time ``model``, a path or the name of a recipe, on ``device``, beside rivals and the same network in float.

    A recipe stands for its network before training: what it costs does not depend on its weights. Without ``rivals``
    all are timed on this machine, and none on a device. ``progress`` is told the rounds, ``sending`` as
    :func:`validate_model`.

    Raises:
        As :func:`bnn_toolchain.model_path.open_model`, :func:`bnn_toolchain.model_path.untrained` and
        :func:`bnn_toolchain.runtime.checks.benchmark.benchmark`.
    """
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.bundle.format import open_bundle
    from bnn_toolchain.runtime.checks.benchmark import Plan, benchmark
    from bnn_toolchain.runtime.contenders import target_for
    from bnn_toolchain.runtime.devices.device import open_device
    from bnn_toolchain.runtime.targets.cache import build

    bundle = open_bundle(Path(model)) if (Path(model) / "manifest.json").is_file() else None
    graph = _model_or_recipe(model) if bundle is None else bundle.graph
    with open_device(device, announce, sending) as where:
        built = None if bundle is None else target_for(bundle, where)
        plan = Plan(
            batch=batch,
            threads=threads,
            rivals=rivals,
            program=None if built is None else build(built.target).program,
            lce_binary=lce_binary,
            calibration=None if bundle is None else bundle.golden.images,
        )
        return benchmark(onnx.to_bytes(graph), where, plan, model, progress)


def _model_or_recipe(model: str) -> Graph:
    from bnn_toolchain.recipes import recipe_names

    if Path(model).exists():
        return open_model(Path(model))
    if model not in recipe_names():
        names = ", ".join(recipe_names())
        raise UsageError(f"{model} is neither a path nor a recipe: give a run, a bundle, a file, or one of {names}")
    return untrained(model)
