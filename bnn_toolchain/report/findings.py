"""What a report shows, gathered from a run, a bundle and benchmarks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bnn_toolchain.converters.cost import Cost, cost_of
from bnn_toolchain.errors import BnntError, UsageError
from bnn_toolchain.evaluation_images import images_of_bundle
from bnn_toolchain.progress import Announce, silent
from bnn_toolchain.runtime.bundle.format import MODEL, Bundle, open_bundle
from bnn_toolchain.runtime.checks.bench_record import Benchmark, read_benchmark
from bnn_toolchain.runtime.checks.validate import EngineResult, validate
from bnn_toolchain.runtime.contenders import bundle_contender
from bnn_toolchain.runtime.devices.device import open_device
from bnn_toolchain.runtime.engines.engine import open_session
from bnn_toolchain.runtime.engines.names import EngineName
from bnn_toolchain.training.metrics import Epoch, Summary, read_epochs, read_summary
from bnn_toolchain.training.run_folder import RunFolder

WORST = 12  # images that are shown
PART = 250  # images at a time
PICTURE = 96  # pixels of a side, at least
LOCAL_ENGINES: tuple[EngineName, ...] = ("native", "onnxruntime", "torch", "lce")


@dataclass(frozen=True)
class Mistake:
    """A test image that is classified wrongly, and how sure the network was."""

    index: int
    picture: str  # data: URI of a PNG
    label: str
    prediction: str
    margin: float  # the prediction's logit above the label's


@dataclass(frozen=True, eq=False)
class Confusion:
    """How the test images were classified: counts [label, prediction]."""

    counts: NDArray[np.int64]
    classes: tuple[str, ...]
    worst: tuple[Mistake, ...]

    @property
    def images(self) -> int:
        """How many there were."""
        return int(self.counts.sum())

    @property
    def correct(self) -> int:
        """How many of them were classified as labelled."""
        return int(np.trace(self.counts))


@dataclass(frozen=True)
class Findings:
    """Everything on the page."""

    title: str
    bundle: Bundle
    cost: Cost
    epochs: tuple[Epoch, ...]
    summary: Summary | None  # of the run; None while it goes on
    float_summary: Summary | None  # of the same network in float
    confusion: Confusion | None
    agreement: tuple[EngineResult, ...]
    benchmarks: tuple[Benchmark, ...]
    remarks: tuple[str, ...]  # what is missing, and why
    commands: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]


def gather(
    run: Path,
    bundle: Path,
    benchmarks: Sequence[Path] = (),
    float_run: Path | None = None,
    devices: Sequence[str] = (),
    announce: Announce = silent,
) -> Findings:
    """Read everything, classify the test images, and ask every engine here, and native on ``devices``, for answers.

    Raises:
        UsageError: something is not there, or a benchmark is of another network.
        FileFormatError: a file is truncated, corrupt or foreign.
    """
    opened = open_bundle(bundle)
    folder = RunFolder(run)
    if not folder.recipe.exists():
        raise UsageError(f"{run} is no run folder: give the one that {bundle} was exported from")
    remarks: list[str] = []

    def remark(line: str) -> None:
        remarks.append(line)
        announce(line)

    read = tuple(read_benchmark(path) for path in benchmarks)
    for path, benchmark in zip(benchmarks, read, strict=True):
        _check_network(path, benchmark, opened)
    announce("classifying the test images")
    confusion = _confusion(opened, remark)
    announce("comparing every engine with the reference")
    return Findings(
        title=bundle.name,
        bundle=opened,
        cost=cost_of(opened.graph, len(opened.model)),
        epochs=tuple(read_epochs(folder.metrics)),
        summary=read_summary(folder.summary) if folder.summary.exists() else None,
        float_summary=None if float_run is None else read_summary(RunFolder(float_run).summary),
        confusion=confusion,
        agreement=tuple(_agreement(opened, run, devices, remark)),
        benchmarks=read,
        remarks=tuple(remarks),
        commands=tuple(_commands(run, bundle, benchmarks, float_run, devices, opened, read)),
        versions=tuple((name, metadata.version(name)) for name in ("bnnt", "torch", "onnx", "onnxruntime", "numpy")),
    )


def _check_network(path: Path, benchmark: Benchmark, bundle: Bundle) -> None:
    """A benchmark of the bundle's model timed its file and its nodes."""
    names = [node.name for node in benchmark.profile]
    if names and names != [node.name for node in bundle.graph.nodes]:
        raise UsageError(f"{path} times another network than {bundle.path / MODEL}: bench that bundle")


def _confusion(bundle: Bundle, remark: Announce) -> Confusion | None:
    test = images_of_bundle(bundle, remark)
    if test is None:
        return None
    session, classes = open_session("native", bundle.model), bundle.graph.spec.classes
    parts = [session.run(test.images[start : start + PART]) for start in range(0, len(test.images), PART)]
    logits = np.concatenate(parts)
    best = logits.argmax(axis=1)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (test.labels, best), 1)
    wrong = np.flatnonzero(best != test.labels)
    margins = logits[wrong, best[wrong]] - logits[wrong, test.labels[wrong]]
    order = np.argsort(-margins, kind="stable")[:WORST]
    worst = tuple(
        Mistake(
            index=int(wrong[i]),
            picture=_picture(test.images[wrong[i]]),
            label=classes[int(test.labels[wrong[i]])],
            prediction=classes[int(best[wrong[i]])],
            margin=float(margins[i]),
        )
        for i in order
    )
    return Confusion(counts, classes, worst)


def _picture(pixels: NDArray[np.uint8]) -> str:
    """The image [H, W, C], each pixel a square of a whole number of pixels, as a data: URI."""
    times = max(1, -(-PICTURE // max(pixels.shape[:2])))
    enlarged = pixels.repeat(times, axis=0).repeat(times, axis=1)
    image = Image.fromarray(enlarged[:, :, 0] if enlarged.shape[2] == 1 else enlarged[:, :, :3])
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _agreement(bundle: Bundle, run: Path, devices: Sequence[str], remark: Announce) -> list[EngineResult]:
    """Engines on the golden images; one that is not here is remarked."""
    rows: list[EngineResult] = []

    def ask(engine: EngineName, name: str) -> None:
        try:
            with open_device(name) as device:
                contender = bundle_contender(bundle, engine, device, run if engine == "torch" else None)
                rows.extend(validate(bundle.graph, [contender], bundle.golden.images).rows)
        except BnntError as error:
            remark(f"{engine} on {name} was not compared: {error}")

    for engine in LOCAL_ENGINES:
        if engine != "lce" or bundle.tflite is not None:
            ask(engine, "local")
    for name in devices:
        ask("native", name)
    return rows


def _commands(
    run: Path,
    bundle: Path,
    files: Sequence[Path],
    float_run: Path | None,
    devices: Sequence[str],
    opened: Bundle,
    benchmarks: Sequence[Benchmark],
) -> list[str]:
    """The lines that make the page again, in the order in which they are typed."""
    targets = "".join(f" --target {built.arch}" for built in opened.manifest.targets)
    lines = [f"bnnt train {run}/recipe.yaml --out NEW", f"bnnt export {run}{targets} --out {bundle}"]
    for file, benchmark in zip(files, benchmarks, strict=True):
        on = "" if benchmark.machine.device == "local" else f" --on {benchmark.machine.device}"
        lines.append(f"bnnt bench {bundle}{on} --json > {file}")
    more = "".join(f" {file}" for file in files) + (f" --float {float_run}" if float_run is not None else "")
    lines.append(f"bnnt report {run} {bundle}{more}{''.join(f' --on {name}' for name in devices)} --out report.html")
    return lines
