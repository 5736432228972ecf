"""The steps between training and a device as plain functions: what the commands call, and a notebook can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_toolchain.errors import UsageError

if TYPE_CHECKING:
    from bnn_toolchain.converters.graph import Graph
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
    from bnn_toolchain.training.run import load_run

    trained = load_run(run)
    announce("lowering the trained network to integers")
    graph = convert(trained.model, trained.input_spec)
    splits = load_splits(trained.recipe.data)
    test = TestImages(splits.source, splits.test.images, splits.test.labels)
    return export_bundle(graph, out, test=test, source=source_of(run, out), targets=targets, announce=announce)


def validate_bundle(path: Path, engines: Sequence[str], device: str, samples: int | None, announce: Announce) -> Report:
    """Compare ``engines`` on ``device`` with the reference, on the first ``samples`` test images (None: all).

    The images are those of the training run that the bundle names. A bundle without its run is compared on its golden
    images, and says so.

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
    run = bundle.run_folder()
    if run is None:
        announce(f"{path} names no training run: comparing on its golden images, without labels")
        return validate(bundle.model, contenders, bundle.golden.images[:samples])
    from bnn_toolchain.data.load import load_splits
    from bnn_toolchain.training.run import load_run

    test = load_splits(load_run(run).recipe.data).test
    return validate(bundle.model, contenders, test.images[:samples], test.labels[:samples])


def bench_model(path: Path, device: str) -> Benchmark:
    """Time the model ``path`` beside the same network in float.

    Raises:
        As :func:`open_model` and :func:`bnn_toolchain.runtime.benchmark.benchmark`.
    """
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.benchmark import benchmark
    from bnn_toolchain.runtime.devices.device import device_from

    return benchmark(onnx.to_bytes(open_model(path)), device_from(device))
