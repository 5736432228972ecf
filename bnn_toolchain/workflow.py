"""The steps between training and a device as plain functions: what the commands call, and a notebook can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_toolchain.errors import UsageError

if TYPE_CHECKING:
    from bnn_toolchain.converters.graph import Graph
    from bnn_toolchain.data.splits import Labelled
    from bnn_toolchain.runtime.benchmark import Benchmark
    from bnn_toolchain.runtime.build import Target
    from bnn_toolchain.runtime.bundle import Bundle
    from bnn_toolchain.runtime.validate import Report

Announce = Callable[[str], None]
"""Told in one line what takes its time."""


def open_model(path: Path) -> Graph:
    """The lowered graph of ``path``: a training run, a bundle or an .onnx file.

    Raises:
        UsageError: nothing is there, or it is none of these.
        FileFormatError: it is truncated, corrupt or foreign.
        Unsupported: it holds an operator that the graph has no place for.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist: give a run folder, a bundle or an .onnx file")
    if (path / "manifest.json").is_file():
        from bnn_toolchain.runtime.bundle import open_bundle

        return open_bundle(path).graph
    if (path / "recipe.yaml").is_file():
        from bnn_toolchain.converters import convert
        from bnn_toolchain.training.run import load_run

        run = load_run(path)
        return convert(run.model, run.input_spec)
    if path.suffix == ".onnx":
        from bnn_toolchain.converters import onnx

        return onnx.load(path)
    raise UsageError(f"{path} is not a model: give a run folder (of bnnt train), a bundle (of bnnt export) or an .onnx")


def target_from(name: str, cpu: str | None) -> Target:
    """The target called ``name``: "host", "arm64" or "x86_64". ``cpu`` is the oldest ARM CPU that must run it.

    On x86-64 the library chooses its kernels when it loads, so there is no CPU to choose.

    Raises:
        UsageError: another name.
        Unavailable: the native engine does not run on this host.
    """
    from bnn_toolchain.runtime.build import Target, host_target

    match name:
        case "host":
            return host_target()
        case "arm64":
            return Target("arm64", cpu or "generic")
        case "x86_64":
            return Target("x86_64", "x86-64-v2")
        case _:
            raise UsageError(f"no target is called '{name}': choose from host, arm64, x86_64")


def export_run(run: Path, out: Path, targets: Sequence[Target], announce: Announce) -> Bundle:
    """Export the best checkpoint of the training run ``run`` as the bundle ``out``, for ``targets``.

    Raises:
        As :func:`bnn_toolchain.training.run.load_run`, :func:`bnn_toolchain.converters.convert` and
        :func:`bnn_toolchain.runtime.export.export_bundle`.
    """
    from bnn_toolchain.converters import convert
    from bnn_toolchain.data.load import load_splits
    from bnn_toolchain.runtime.export import TestImages, export_bundle, source_of
    from bnn_toolchain.training.config import Recipe
    from bnn_toolchain.training.run import load_run

    trained = load_run(run)
    if not isinstance(trained.training, Recipe):
        raise UsageError(
            f"{run} is a run of a module of your own: examples/own_module.py shows how to export one from Python"
        )
    announce("lowering the trained network to integers")
    graph = convert(trained.model, trained.input_spec)
    splits = load_splits(trained.training.data)
    test = TestImages(splits.source, splits.test.images, splits.test.labels)
    return export_bundle(graph, out, test=test, source=source_of(run, out), targets=targets, announce=announce)


def validate_bundle(path: Path, engines: Sequence[str], device: str, samples: int | None, announce: Announce) -> Report:
    """Compare ``engines`` on ``device`` with the reference, on the first ``samples`` test images (None: all).

    The images are those of the recipe that the model was trained by. A bundle that has no such run any more is
    compared on its golden images, and ``announce`` is told.

    Raises:
        UsageError: a name that does not exist, or an engine that the device does not run.
        Unavailable: an engine or device that is not installed.
        FileFormatError: a file is truncated, corrupt or foreign.
    """
    from bnn_toolchain.runtime.bundle import open_bundle, open_contender
    from bnn_toolchain.runtime.devices.device import device_from
    from bnn_toolchain.runtime.engines.engine import engine_name
    from bnn_toolchain.runtime.validate import validate

    where = device_from(device)
    names = [engine_name(engine) for engine in engines]
    bundle = open_bundle(path)
    contenders = [open_contender(bundle, name, where) for name in names]
    test = _test_split(bundle)
    if test is None:
        announce(f"the training run of {path} is not here: comparing on the golden images, without labels")
        return validate(bundle.model, contenders, bundle.golden.images[:samples])
    return validate(bundle.model, contenders, test.images[:samples], test.labels[:samples])


def _test_split(bundle: Bundle) -> Labelled | None:
    """The test images of the recipe that the bundle's model was trained by, if its run folder is still there."""
    from bnn_toolchain.data.load import load_splits
    from bnn_toolchain.training.config import Recipe
    from bnn_toolchain.training.folder import RunFolder

    source = bundle.manifest.source
    if source is None or not (folder := RunFolder(bundle.path / source.run)).recipe.exists():
        return None
    training = folder.read_training()
    return load_splits(training.data).test if isinstance(training, Recipe) else None


def bench_model(model: str, device: str) -> Benchmark:
    """Time ``model``, a path or the name of a recipe, beside the same network in float.

    A recipe stands for its network before training: what it costs does not depend on its weights.

    Raises:
        As :func:`open_model`, :func:`untrained` and :func:`bnn_toolchain.runtime.benchmark.benchmark`.
    """
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.benchmark import benchmark
    from bnn_toolchain.runtime.devices.device import device_from
    from bnn_toolchain.training.recipe import recipe_names

    where = device_from(device)
    graph = untrained(model) if model in recipe_names() and not Path(model).exists() else open_model(Path(model))
    return benchmark(onnx.to_bytes(graph), where)


def untrained(recipe: str) -> Graph:
    """The lowered graph of a recipe's network with its initial weights.

    Raises:
        UsageError: no such recipe, or its data set is missing.
    """
    from bnn_toolchain.converters import convert
    from bnn_toolchain.data.load import load_splits
    from bnn_toolchain.models import build
    from bnn_toolchain.training.recipe import load_recipe

    loaded = load_recipe(recipe)
    spec = load_splits(loaded.data).spec
    return convert(build(loaded.model, spec), spec)
