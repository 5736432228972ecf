"""The steps between training and a device as plain functions: what the commands call, and a notebook can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_toolchain.converters import require_lce
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.packages import named_packages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from bnn_toolchain.converters.cost import Report
    from bnn_toolchain.converters.graph.graph import Graph
    from bnn_toolchain.data.splits import Labelled
    from bnn_toolchain.input_spec import InputSpec
    from bnn_toolchain.runtime.bundle.format import Bundle
    from bnn_toolchain.runtime.checks.benchmark import Benchmark
    from bnn_toolchain.runtime.checks.validate import Contender
    from bnn_toolchain.runtime.checks.validate import Report as ValidationReport
    from bnn_toolchain.runtime.devices.device import Device
    from bnn_toolchain.runtime.engines.engine import EngineName, Session
    from bnn_toolchain.runtime.targets.compiler import Target

Announce = Callable[[str], None]
"""Told in one line what takes its time."""

Progress = Callable[[int, int], None]
"""Told how many images are done, of how many."""

FORMATS = frozenset({"onnx", "lce", "native"})
RANDOM_IMAGES = 100  # for models that come without images


def open_model(path: Path) -> Graph:
    """The lowered graph of ``path``: a training run, a bundle, an .onnx or a .tflite file.

    Raises:
        UsageError: nothing is there, or it is none of these.
        FileFormatError: it is truncated, corrupt or foreign.
        Unsupported: it holds an operator that the graph has no place for, or does not yield one logit for each class.
    """
    from bnn_toolchain.converters.graph.classifier import check_classifier

    graph = _read_model(path)
    check_classifier(graph)
    return graph


def _read_model(path: Path) -> Graph:
    if not path.exists():
        raise UsageError(f"{path} does not exist: give a run folder, a bundle, an .onnx or a .tflite file")
    if (path / "manifest.json").is_file():
        from bnn_toolchain.runtime.bundle.format import open_bundle

        return open_bundle(path).graph
    if (path / "recipe.yaml").is_file():
        from bnn_toolchain.converters import convert
        from bnn_toolchain.training.load import load_run

        run = load_run(path)
        return convert(run.model, run.input_spec)
    if path.suffix == ".onnx":
        from bnn_toolchain.converters import onnx

        return onnx.load(path)
    if path.suffix == ".tflite":
        require_lce()
        from bnn_toolchain.converters import lce

        return lce.load(path)
    raise UsageError(
        f"{path} is not a model: give a run folder (of bnnt train), a bundle (of bnnt export), an .onnx or a .tflite"
    )


def inspect_model(path: Path) -> Report:
    """What the model ``path`` costs; see :mod:`bnn_toolchain.converters.cost`.

    Raises:
        As :func:`open_model`.
    """
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.converters.cost import report

    graph = open_model(path)
    return report(graph, path.stat().st_size if path.is_file() else len(onnx.to_bytes(graph)))


def target_from(name: str, cpu: str | None) -> Target:
    """The target called ``name``: "host", "arm64" or "x86_64". ``cpu`` is the oldest ARM CPU that must run it.

    On x86-64 the library chooses its kernels when it loads, so there is no CPU to choose.

    Raises:
        UsageError: another name.
        Unavailable: the native engine does not run on this host.
    """
    from bnn_toolchain.runtime.targets.compiler import Target, host_target

    match name:
        case "host":
            return host_target()
        case "arm64":
            return Target("arm64", (cpu or "generic").lower().replace("_", "-"))
        case "x86_64":
            return Target("x86_64", "x86-64-v2")
        case _:
            raise UsageError(f"no target is called '{name}': choose from host, arm64, x86_64")


def formats_from(text: str, targets: bool) -> frozenset[str]:
    """The formats that ``text`` lists, such as "lce,native"; ``targets`` says whether some were asked for.

    onnx need not be listed: every bundle holds model.onnx.

    Raises:
        UsageError: an unknown format, or targets without native.
    """
    chosen = frozenset(part.strip() for part in text.split(","))
    if unknown := chosen - FORMATS:
        raise UsageError(f"no format is called '{sorted(unknown)[0]}': choose from onnx, lce, native")
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
    from bnn_toolchain.runtime.export import TestImages, export_bundle, source_of

    if (model / "manifest.json").is_file():
        raise UsageError(f"{model} is a bundle already: give its model.onnx, or the run that it was exported from")
    if not model.is_file() and not (model / "recipe.yaml").is_file():
        raise UsageError(f"{model} is neither a run folder of bnnt train nor an .onnx or .tflite file: give one")
    if data is not None and (model.is_file() or not use_data):
        raise UsageError("--data says where the test images of a run are: leave it out for a file, or with --no-data")
    if model.is_file():
        graph = open_model(model)
        announce(f"{model} comes without test images: golden images are random, accuracy is not measured")
        test = TestImages("random", _random_images(graph.spec, RANDOM_IMAGES), None)
        return export_bundle(graph, out, test=test, targets=targets, tflite=tflite, announce=announce)
    from bnn_toolchain.converters import convert
    from bnn_toolchain.training.config import Recipe
    from bnn_toolchain.training.load import load_run
    from bnn_toolchain.training.recorded import read_test_images
    from bnn_toolchain.training.run_folder import RunFolder

    trained = load_run(model)
    if not isinstance(trained.training, Recipe):
        raise UsageError(
            f"{model} is a run of a module of your own: examples/own_module.py shows how to export one from Python"
        )
    if use_data:
        try:
            with named_packages():
                found, title = read_test_images(RunFolder(model), trained.training, data, announce)
        except (UsageError, Unavailable) as error:
            remedy = "--data PATH names another place of the images, --no-data exports without accuracy"
            raise type(error)(f"{error}; {remedy}") from error
        test = TestImages(title, found.images, found.labels)
    else:
        announce("without test images: golden images are random, accuracy is not measured")
        test = TestImages("random", _random_images(trained.input_spec, RANDOM_IMAGES), None)
    announce("lowering the trained network to integers, and comparing it with the module")
    graph = convert(trained.model, trained.input_spec, images=test.images, announce=announce)
    source = source_of(model, out)
    return export_bundle(graph, out, test=test, source=source, targets=targets, tflite=tflite, announce=announce)


def _random_images(spec: InputSpec, count: int) -> NDArray[np.uint8]:
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (count, *spec.shape), np.uint8)


def validate_model(
    model: Path,
    engines: Sequence[str] = (),
    device: str = "local",
    samples: int | None = None,
    hidden: int = 100,
    *,
    module: nn.Module | None = None,
    announce: Announce = lambda message: None,
    progress: Progress | None = None,
) -> ValidationReport:
    """Compare ``engines`` on ``device`` with the reference, on the first ``samples`` test images (None: all).

    Without ``engines`` they are native and, on this machine, torch if the bundle's training run is still there.
    ``module`` is a trained module of the user's own, which the torch engine then runs: normalised float32 images
    [N, C, H, W] to logits. The bits of hidden activations are compared on the first ``hidden`` of the images.

    The images are those that the run of a bundle's model was tested on; if it or they are not there any more, or
    changed, the bundle's golden images. A model file is compared on random ones. ``announce`` is told.

    Raises:
        UsageError: a name that does not exist, an engine that the device does not run, or a module that cannot run.
        Unavailable: an engine or device that is not installed.
        FileFormatError: a file is truncated, corrupt or foreign.
        CheckFailed: an engine's answers have not even the right form; others are in the report.
    """
    from bnn_toolchain.runtime.checks.validate import validate
    from bnn_toolchain.runtime.devices.device import device_from
    from bnn_toolchain.runtime.engines.engine import engine_name

    where = device_from(device)
    names = [engine_name(engine) for engine in engines or ["native"] if module is None or engine != "torch"]
    if model.is_file():
        graph = open_model(model)
        announce(f"{model} comes without test images: comparing on random ones, without labels")
        images = _random_images(graph.spec, samples or RANDOM_IMAGES)
        contenders = [*_open_file(model, graph, names, where), *_open_module(module, graph)]
        return validate(graph, contenders, images, hidden_images=hidden, progress=progress)
    from bnn_toolchain.runtime.bundle.format import open_bundle, open_contender

    bundle = open_bundle(model)
    contenders = [open_contender(bundle, name, where) for name in names]
    contenders += _open_module(module, bundle.graph) if engines or module else _open_trained(bundle, where, announce)
    try:
        with named_packages():
            test = _test_images(bundle, announce)
    except Unavailable as error:
        test = None
        announce(f"{error}: comparing on the golden images, without labels")
    labels = None if test is None else test.labels[:samples]
    images = (bundle.golden.images if test is None else test.images)[:samples]
    return validate(bundle.graph, contenders, images, labels, hidden_images=hidden, progress=progress)


def module_for(model: Path, text: str, announce: Announce = lambda message: None) -> nn.Module:
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
    from bnn_toolchain.runtime.bundle.format import exported_run, open_bundle

    module = load_module(text, open_model(model).spec)
    if model.is_file() or (bundle := open_bundle(model)).run_folder() is None:
        announce(f"{text} keeps its own weights: {model} names no training run that is here")
        return module
    run = exported_run(bundle)
    announce(f"{text} gets the weights of {run}")
    return load_run(run, model=module).model


def _open_module(module: nn.Module | None, graph: Graph) -> list[Contender]:
    """The user's own module, if there is one, as a contender."""
    if module is None:
        return []
    from bnn_toolchain.runtime.checks.validate import Contender
    from bnn_toolchain.runtime.engines.torch import of_module

    return [Contender("torch", "local", of_module(module, graph))]


def _open_trained(bundle: Bundle, device: Device, announce: Announce) -> list[Contender]:
    """The trained module, if ``device`` is this machine and the training run is still there; else say why not."""
    from bnn_toolchain.runtime.bundle.format import open_contender
    from bnn_toolchain.runtime.devices.device import Local

    if not isinstance(device, Local):
        return []
    try:
        with named_packages():
            return [open_contender(bundle, "torch", device)]
    except (Unavailable, UsageError) as error:
        announce(f"torch, the trained module itself, is left out: {error}")
        return []


def _open_file(model: Path, graph: Graph, engines: Sequence[EngineName], device: Device) -> list[Contender]:
    """The engines on the file itself where they read its format, else on the same graph in theirs."""
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.checks.validate import Contender
    from bnn_toolchain.runtime.devices.device import Local
    from bnn_toolchain.runtime.engines.engine import open_session
    from bnn_toolchain.runtime.engines.reference import ReferenceSession

    if not isinstance(device, Local):
        raise UsageError(f"{device} needs the engine built for it: export {model} with --target arm64 first")
    own, found = model.read_bytes(), []
    for engine in engines:
        if engine == "reference":
            session: Session = ReferenceSession(graph)
        elif engine.startswith("lce"):
            session = open_session(engine, b"", tflite=own if model.suffix == ".tflite" else _tflite(graph))
        else:
            session = open_session(engine, own if model.suffix == ".onnx" else onnx.to_bytes(graph))
        found.append(Contender(engine, str(device), session))
    return found


def _tflite(graph: Graph) -> bytes:
    require_lce()
    from bnn_toolchain.converters import lce

    return lce.to_bytes(graph)


def _test_images(bundle: Bundle, announce: Announce) -> Labelled | None:
    """The images that the run of the bundle's model was tested on; None, which is announced, if they are not here."""
    from bnn_toolchain.training.config import Recipe
    from bnn_toolchain.training.recorded import read_test_images
    from bnn_toolchain.training.run_folder import RunFolder

    source, instead = bundle.manifest.source, "comparing on the golden images, without labels"
    folder = None if source is None else RunFolder(bundle.path / source.run)
    recipe = folder.read_training() if folder is not None and folder.recipe.exists() else None
    if folder is None or not isinstance(recipe, Recipe):
        announce(f"the test images of {bundle.path} are not here: {instead}")
        return None
    try:
        return read_test_images(folder, recipe, None, announce)[0]
    except (UsageError, Unavailable) as error:
        announce(f"{error}: {instead}")
        return None


def bench_model(model: str, device: str) -> Benchmark:
    """Time ``model``, a path or the name of a recipe, beside the same network in float.

    A recipe stands for its network before training: what it costs does not depend on its weights.

    Raises:
        As :func:`open_model`, :func:`untrained` and :func:`bnn_toolchain.runtime.checks.benchmark.benchmark`.
    """
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.checks.benchmark import benchmark
    from bnn_toolchain.runtime.devices.device import device_from

    where = device_from(device)
    if Path(model).exists():
        return benchmark(onnx.to_bytes(open_model(Path(model))), where)
    from bnn_toolchain.recipes import recipe_names

    if model not in recipe_names():
        names = ", ".join(recipe_names())
        raise UsageError(f"{model} is neither a path nor a recipe: give a run, a bundle, a file, or one of {names}")
    return benchmark(onnx.to_bytes(untrained(model)), where)


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
