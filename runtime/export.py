"""Writing a bundle: all of it, checked, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx, require_lce
from bnn_toolchain.converters.cost import report
from bnn_toolchain.converters.graph.classifier import check_classifier
from bnn_toolchain.converters.graph.graph import Graph, same_graph
from bnn_toolchain.errors import CheckFailed, Unavailable, UsageError
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.format import (
    GOLDEN,
    HEADER,
    LIBRARY,
    MANIFEST,
    MODEL,
    PROGRAM,
    TFLITE,
    Accuracy,
    BuiltTarget,
    Bundle,
    File,
    Manifest,
    Source,
    Versions,
    is_bundle,
    open_bundle,
    read_manifest,
    sha256,
)
from bnn_toolchain.runtime.bundle.golden import check_golden, make_golden, write_golden
from bnn_toolchain.runtime.bundle.whole_folder import whole_folder
from bnn_toolchain.runtime.checks.validate import Contender, validate
from bnn_toolchain.runtime.engines.engine import EngineName, open_session
from bnn_toolchain.runtime.engines.lce import environment as lce_environment

if TYPE_CHECKING:
    from bnn_toolchain.runtime.targets.compiler import Target

GOLDEN_IMAGES = 100
CHECKED: tuple[EngineName, ...] = ("reference", "onnxruntime", "native")
CHUNK = 250  # images at a time


@dataclass(frozen=True, eq=False)
class TestImages:
    """The images that an export takes golden ones from, and measures accuracy on if they have labels."""

    __test__ = False  # pytest: this is no test

    data_set: str
    images: NDArray[np.uint8]  # (N, H, W, C)
    labels: NDArray[np.integer] | None  # (N,)


def source_of(run: Path, bundle: Path, checkpoint: str = "best.safetensors") -> Source:
    """The manifest's entry for the training ``run`` that ``bundle`` is exported from.

    Raises:
        UsageError: the checkpoint cannot be read.
    """
    try:
        hashed = sha256(run / checkpoint)
    except OSError as error:
        raise UsageError(f"cannot read {run / checkpoint}: {error.strerror}") from error
    return Source(
        run=Path(os.path.relpath(run.resolve(), bundle.resolve())).as_posix(), checkpoint=checkpoint, sha256=hashed
    )


def export_bundle(
    graph: Graph,
    out: Path,
    *,
    test: TestImages,
    source: Source | None = None,
    targets: Sequence[Target] = (),
    tflite: bool = False,
    announce: Callable[[str], None] = lambda message: None,
) -> Bundle:
    """Write ``graph`` as a bundle to ``out``, replacing an older bundle there; with ``tflite`` also for LCE.

    The bundle is made in a hidden folder beside ``out`` and takes its name, in one step, only after the files, read
    back, answered the golden images as the reference did, on the reference, onnxruntime, native and, where it is
    installed, LCE. ``announce`` is told what takes its time, and which layers stay in float and why.

    Raises:
        UsageError: ``out`` is something else than a bundle, holds anything besides, or cannot be written.
        Unsupported: the graph is not lowered, a format cannot express it, or it does not yield a logit for each class.
        Unavailable: there is no compiler for the native engine.
        CheckFailed: an engine differs from the reference; nothing is written.
    """
    check_classifier(graph)
    check_images(test.images, graph.spec)
    if not len(test.images):
        raise UsageError("there are no test images")
    if test.labels is not None and test.labels.shape != test.images.shape[:1]:
        raise UsageError(f"{len(test.images)} test images with labels of shape {list(test.labels.shape)}")
    try:
        _refuse_to_lose(out)
        with whole_folder(out) as made:
            _write(graph, made, test, source, targets, tflite, announce)
            _check(open_bundle(made), announce)
            _refuse_to_lose(out)  # minutes later
    except OSError as error:
        raise UsageError(f"cannot write the bundle {out}: {error.strerror}: {error.filename}") from error
    for row in report(graph, 0).float_layers:
        announce(f"left in float: {row.name} ({row.op}): {row.float_reason}")
    return open_bundle(out)


def _refuse_to_lose(out: Path) -> None:
    """Let ``out`` be replaced only if it is nothing, an empty folder, or a bundle and nothing else."""
    if not out.exists():
        return
    if out.samefile("."):
        raise UsageError(f"{out} is the current folder, which cannot be replaced: choose another --out")
    if out.is_dir() and not any(out.iterdir()):
        return
    if not is_bundle(out):
        raise UsageError(f"{out} exists and is not a bundle: nothing is overwritten; choose another --out")
    own = {MANIFEST, *read_manifest(out).files}
    for path in out.rglob("*"):
        if not path.is_dir() and path.relative_to(out).as_posix() not in own:
            raise UsageError(f"{path} is not the bundle's, and would be lost: move it, or choose another --out")


def _write(
    graph: Graph,
    folder: Path,
    test: TestImages,
    source: Source | None,
    targets: Iterable[Target],
    tflite: bool,
    announce: Callable[[str], None],
) -> None:
    from bnn_toolchain.runtime.targets.compiler import build

    onnx.save(graph, folder / MODEL)
    if tflite:
        require_lce()
        from bnn_toolchain.converters import lce

        lce.save(graph, folder / TFLITE)
        for stand_in in lce.constructions(graph):
            announce(f"model.tflite: {stand_in.node}: {stand_in.how}")
    (folder / GOLDEN).mkdir()
    # Evenly spread, since a test split may be sorted by class.
    chosen = np.unique(np.linspace(0, len(test.images) - 1, GOLDEN_IMAGES).round().astype(int))
    write_golden(make_golden(graph, test.images[chosen]), folder / GOLDEN)
    built = []
    for target in targets:
        entry = BuiltTarget(arch=target.arch, cpu=target.cpu)
        files = build(target, announce=announce)
        (folder / entry.folder).mkdir(parents=True)
        for path, name in ((files.library, LIBRARY), (files.header, HEADER), (files.program, PROGRAM)):
            shutil.copy(path, folder / entry.folder / name)
        built.append(entry)
    if test.labels is not None:
        announce(f"measuring the exported model on {len(test.images)} test images of {test.data_set}")
    manifest = Manifest(
        format=1,
        versions=Versions(bnnt=metadata.version("bnnt"), torch=_torch(), onnx=metadata.version("onnx")),
        input=graph.spec,
        decided_by=graph.decided_by,
        accuracy=None if test.labels is None else _measure(graph, test.images, test.labels, test.data_set),
        source=source,
        targets=tuple(built),
        files={
            path.relative_to(folder).as_posix(): File(bytes=path.stat().st_size, sha256=sha256(path))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _torch() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _measure(graph: Graph, images: NDArray[np.uint8], labels: NDArray[np.integer], data_set: str) -> Accuracy:
    session = open_session("native", onnx.to_bytes(graph))
    correct = 0
    for start in range(0, len(images), CHUNK):
        best = session.run(images[start : start + CHUNK]).argmax(axis=1)
        correct += int((best == labels[start : start + CHUNK]).sum())
    return Accuracy(data_set=data_set, images=len(images), correct=correct)


def _check(bundle: Bundle, announce: Callable[[str], None]) -> None:
    engines: list[EngineName] = list(CHECKED)
    if bundle.tflite is not None:
        from bnn_toolchain.converters import lce

        if not same_graph(lce.from_bytes(bundle.tflite), bundle.graph):
            raise CheckFailed("model.tflite, read back, is another network: please report this model")
        try:
            lce_environment.find()
            engines.append("lce")
        except Unavailable as error:
            announce(f"model.tflite was read back but not run by LCE's interpreter: {error}")
    announce(f"checking {', '.join(engines)} on {len(bundle.golden.images)} golden images")
    check_golden(bundle.golden, bundle.graph)
    sessions = ((engine, open_session(engine, bundle.model, tflite=bundle.tflite)) for engine in engines)
    contenders = [Contender(engine, "local", session) for engine, session in sessions]
    validate(bundle.graph, contenders, bundle.golden.images).check()
