"""The whole path on real digits: train, export, check every engine, measure, beside the same network in float."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.api import export_model
from bnn_toolchain.converters import convert, onnx
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.data.splits import Labelled
from bnn_toolchain.errors import Unavailable
from bnn_toolchain.files import write_atomically
from bnn_toolchain.models import float_config
from bnn_toolchain.progress import Announce
from bnn_toolchain.report.findings import gather
from bnn_toolchain.report.page import render
from bnn_toolchain.runtime.checks import validate as validation
from bnn_toolchain.runtime.checks.bench_record import Timing
from bnn_toolchain.runtime.checks.benchmark import Plan, benchmark
from bnn_toolchain.runtime.contenders import bundle_contender
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.qemu import find_qemu
from bnn_toolchain.runtime.engines import onnxruntime
from bnn_toolchain.runtime.engines.names import EngineName
from bnn_toolchain.runtime.targets.compiler import find_compiler
from bnn_toolchain.runtime.targets.target import targets_from
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.recipe import load_recipe
from bnn_toolchain.training.run_folder import RunFolder
from bnn_toolchain.training.train import train

RECIPE = "digits"
COMPARED: tuple[EngineName, ...] = ("native", "onnxruntime", "torch", "reference")
ARM_CPU = "cortex-a72"  # of a Raspberry Pi 4
FLOAT_EPOCHS = 10  # the float network has converged by then


@dataclass(frozen=True)
class DemoRow:
    """One engine on one device; times in seconds for one image, on one thread."""

    network: str  # "binary" or "float"
    engine: str
    device: str
    images: int
    agree: int | None  # images whose prediction and hidden bits are all the reference's
    correct: int  # images classified as labelled
    latency: float | None  # median CPU time; None on an emulator, whose time means nothing
    bytes: int  # of the model file


@dataclass(frozen=True)
class Demo:
    """All rows, why the emulated ARM CPU is not among them, if it is not, and the page about it all."""

    rows: tuple[DemoRow, ...]
    not_run: str
    report: str


def run_demo(out: Path, announce: Announce) -> Demo:
    """Do it all in the folder ``out``; what an earlier call finished there is taken from there.

    Raises:
        Unavailable: a compiler is missing.
        CheckFailed: an engine differs from the reference.
    """
    find_compiler()  # before minutes are spent
    recipe = load_recipe(RECIPE)
    announce(f"training the recipe {RECIPE}")
    _train(recipe, out / "run")
    announce("training the same network in float")
    in_float = recipe.model_copy(
        update={
            "model": float_config(recipe.model),
            "stages": (recipe.stages[0].model_copy(update={"epochs": FLOAT_EPOCHS}),),
        }
    )
    _train(in_float, out / "float")
    targets = targets_from(("host", "arm64"), ARM_CPU)
    bundle = export_model(out / "run", out / "bundle", targets, False, announce)
    test = load_splits(recipe.data).test
    announce(f"comparing every engine with the reference on {len(test)} images, bit by bit")
    places: list[tuple[EngineName, Device]] = [(engine, Local()) for engine in COMPARED]
    not_run = ""
    try:
        places.append(("native", find_qemu(ARM_CPU)))
    except Unavailable as error:
        not_run = f"native on qemu:{ARM_CPU} was not run: {error}"
    contenders = [bundle_contender(bundle, engine, device) for engine, device in places]
    report = validation.validate(bundle.graph, contenders, test.images, test.labels, hidden_images=len(test))
    report.check()
    announce("measuring one image at a time on one thread")
    measured = benchmark(bundle.model, plan=Plan(trained=out / "run"), title=str(bundle.path))
    timings, record = measured.timings, out / "bench.json"
    write_atomically(record, measured.model_dump_json(indent=2).encode())
    announce("writing the report")
    devices = [] if not_run else [f"qemu:{ARM_CPU}"]
    page = render(gather(out / "run", bundle.path, [record], out / "float", devices, announce))
    write_atomically(out / "report.html", page.encode())
    binary = tuple(_row(row, timings, len(bundle.model)) for row in report.rows)
    return Demo((*binary, _float_row(out / "float", test, timings)), not_run, str(out / "report.html"))


def _train(recipe: Recipe, folder: Path) -> None:
    train(recipe, folder, resume=RunFolder(folder).recipe.exists())


def _row(result: validation.EngineResult, timings: tuple[Timing, ...], size: int) -> DemoRow:
    latency = None
    if result.device == str(Local()):
        same = (t for t in timings if t.network == "binary" and t.engine == result.engine)
        latency = next((_cpu(t) for t in same), None)
    return DemoRow(
        network="binary",
        engine=result.engine,
        device=result.device,
        images=result.images,
        agree=result.images_exact,
        correct=result.correct or 0,
        latency=latency,
        bytes=size,
    )


def _float_row(run: Path, test: Labelled, timings: tuple[Timing, ...]) -> DemoRow:
    """Accuracy of the trained float network; time and size of the file with batch norm folded into the weights."""
    trained = load_run(run)
    run_float = onnxruntime.open_bytes(onnx.to_bytes(convert(trained.model, trained.input_spec)))
    best = run_float(test.images)[0].argmax(axis=1)
    timing = next(t for t in timings if t.network == "float")
    return DemoRow(
        network="float",
        engine=timing.engine,
        device=str(Local()),
        images=len(test),
        agree=None,
        correct=int((best == test.labels).sum()),
        latency=_cpu(timing),
        bytes=timing.file_bytes,
    )


def _cpu(timing: Timing) -> float:
    return (timing.cpu or timing.wall).median
