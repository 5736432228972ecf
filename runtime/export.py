"""From a graph to a bundle: all of it, checked, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx, require_lce
from bnn_toolchain.converters.cost import cost_of
from bnn_toolchain.converters.graph.classifier import check_classifier
from bnn_toolchain.converters.graph.graph import Graph, same_graph
from bnn_toolchain.errors import CheckFailed, Unavailable, UsageError
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.progress import Announce, silent
from bnn_toolchain.runtime.bundle.format import Accuracy, Bundle, Source, open_bundle
from bnn_toolchain.runtime.bundle.golden import check_golden, make_golden
from bnn_toolchain.runtime.bundle.whole_folder import whole_folder
from bnn_toolchain.runtime.bundle.write import refuse_to_lose, write_bundle
from bnn_toolchain.runtime.checks.validate import validate
from bnn_toolchain.runtime.contenders import bundle_contender
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.engines.engine import open_session
from bnn_toolchain.runtime.engines.lce import environment as lce_environment
from bnn_toolchain.runtime.engines.names import EngineName
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import Target

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


def export_bundle(
    graph: Graph,
    out: Path,
    *,
    test: TestImages,
    source: Source | None = None,
    targets: Sequence[Target] = (),
    tflite: bool = False,
    announce: Announce = silent,
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
        refuse_to_lose(out)
        with whole_folder(out) as made:
            _write(graph, made, test, source, targets, tflite, announce)
            _check(open_bundle(made), announce)
            refuse_to_lose(out)  # minutes later
    except OSError as error:
        raise UsageError(f"cannot write the bundle {out}: {error.strerror}: {error.filename}") from error
    for row in cost_of(graph, 0).float_layers:
        announce(f"left in float: {row.name} ({row.op}): {row.float_reason}")
    return open_bundle(out)


def _write(
    graph: Graph,
    folder: Path,
    test: TestImages,
    source: Source | None,
    targets: Iterable[Target],
    tflite: bool,
    announce: Announce,
) -> None:
    # Evenly spread, since a test split may be sorted by class.
    chosen = np.unique(np.linspace(0, len(test.images) - 1, GOLDEN_IMAGES).round().astype(int))
    write_bundle(
        folder,
        graph,
        make_golden(graph, test.images[chosen]),
        tflite=_tflite(graph, announce) if tflite else None,
        builds={target: build(target, announce=announce) for target in targets},
        accuracy=_measure(graph, test, announce),
        source=source,
    )


def _tflite(graph: Graph, announce: Announce) -> bytes:
    require_lce()
    from bnn_toolchain.converters import lce

    for stand_in in lce.constructions(graph):
        announce(f"model.tflite: {stand_in.node}: {stand_in.how}")
    return lce.to_bytes(graph)


def _measure(graph: Graph, test: TestImages, announce: Announce) -> Accuracy | None:
    if test.labels is None:
        return None
    announce(f"measuring the exported model on {len(test.images)} test images of {test.data_set}")
    session = open_session("native", onnx.to_bytes(graph))
    correct = 0
    for start in range(0, len(test.images), CHUNK):
        best = session.run(test.images[start : start + CHUNK]).argmax(axis=1)
        correct += int((best == test.labels[start : start + CHUNK]).sum())
    return Accuracy(data_set=test.data_set, images=len(test.images), correct=correct)


def _check(bundle: Bundle, announce: Announce) -> None:
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
    contenders = [bundle_contender(bundle, engine, Local()) for engine in engines]
    validate(bundle.graph, contenders, bundle.golden.images).check()
