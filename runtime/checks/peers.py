"""What is timed beside each other: an engine on a file, and how a round of its runs is taken."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import require_lce
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import BadAnswer, FileFormatError
from bnn_toolchain.runtime.bundle.arrays import read_array
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.engines import onnxruntime
from bnn_toolchain.runtime.engines.lce import environment as lce_environment
from bnn_toolchain.runtime.engines.native.printed import Printed, read_printed
from bnn_toolchain.runtime.engines.native.program import thread_words
from bnn_toolchain.runtime.engines.onnxruntime_device import run_there

SECONDS = 0.08  # that one engine runs in one round, at least
LEAST_RUNS = 5  # in one round
WARM_UP = 10  # runs before the first round
AVERAGE = re.compile(r"Inference \(avg\): ([0-9]{1,12}(?:\.[0-9]{1,9})?(?:e[+-]?[0-9]{1,2})?)")


@dataclass(frozen=True, eq=False)
class Round:
    """Some runs, one after the other; seconds of one image."""

    cpu: NDArray[np.float64] | None  # [runs]; None where the engine does not tell
    wall: NDArray[np.float64]  # [runs]
    load: float | None = None
    peak_bytes: int | None = None
    yardstick: float | None = None  # seconds of a fixed piece of work meanwhile


@dataclass(frozen=True)
class Peer:
    """One engine on one file."""

    engine: str
    network: str  # "binary", "float" or "int8"
    version: str
    file_bytes: int
    sample: Callable[[], Round]
    cores: str = ""  # the kind of core that it is pinned to


@dataclass(frozen=True)
class Pinned:
    """The kind of core that a peer runs on, and the core's number; None is any."""

    kind: str
    core: int | None


def native(
    device: Device,
    program: Path,
    model: Path,
    batch: int,
    pinned: Pinned,
    threads: int = 1,
    kernels: str | None = None,
) -> Peer:
    """The native engine as bnnt-run on ``device``; ``kernels`` names a set, None is the one that suits the CPU.

    Raises:
        CheckFailed, Unavailable: the program fails there, or the device is lost.
        BadAnswer: it prints what it never prints.
    """
    size = model.stat().st_size
    how = [*cores(pinned, threads), *([] if kernels is None else ["--kernels", kernels])]

    def sample() -> Round:
        words = ["--bench", str(SECONDS), "--runs", str(LEAST_RUNS), "--batch", str(batch), *how]
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            samples = Path(folder) / "samples.npy"
            printed = _printed(device, program, model, [*words, "--samples", samples.name], {samples.name: samples})
            times = _times(samples, device, batch)
        if (bench := printed.bench) is None:
            raise BadAnswer(f"{device} sent back no word about its runs")
        yardstick = max(bench.yardstick_us, 1e-3) * 1e-6
        return Round(times[:, 0], times[:, 1], bench.load_us * 1e-6, bench.peak_bytes, yardstick)

    described = _printed(device, program, model, ["--describe", *how], {})
    return Peer("native", "binary", f"{described.version} {described.kernels}", size, sample, pinned.kind)


def cores(pinned: Pinned, threads: int) -> list[str]:
    """bnnt-run's options for one thread on one core, or for several wherever the system puts them."""
    if threads > 1:
        return thread_words(threads)
    return [] if pinned.core is None else ["--cpu", str(pinned.core)]


def profile(device: Device, program: Path, model: Path, pinned: Pinned, threads: int = 1) -> Printed:
    """What each node takes there.

    Raises:
        As :func:`native`.
    """
    return _printed(device, program, model, ["--profile", *cores(pinned, threads)], {})


def stock(network: str, model: bytes, images: NDArray[np.uint8], threads: int = 1) -> Peer:
    """onnxruntime in this process.

    Raises:
        Unavailable: it is not installed, or cannot load the model.
    """
    start = time.perf_counter()
    run = onnxruntime.open_bytes(model, threads)
    load = time.perf_counter() - start
    sample = calls(lambda: run(images), len(images), load)
    return Peer("onnxruntime", network, onnxruntime.version(), len(model), sample)


def stock_there(
    network: str, model: Path, images: NDArray[np.uint8], device: Device, core: int | None, kind: str
) -> Peer:
    """onnxruntime in the device's own Python.

    Raises:
        Unavailable: it is not there, or the device is lost.
        BadAnswer: it answers something else.
    """
    on_core = [] if core is None else [str(core)]

    def sample() -> Round:
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            samples = Path(folder) / "samples.npy"
            words = ["--bench", str(SECONDS), str(LEAST_RUNS), samples.name, *on_core]
            said = run_there(device, model, images, words, {samples.name: samples})
            times = _times(samples, device, len(images))
        return Round(times[:, 0], times[:, 1], said.load_us * 1e-6)

    with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
        said = run_there(device, model, images, ["logits.npy"], {"logits.npy": Path(folder) / "logits.npy"})
    return Peer("onnxruntime", network, said.version, model.stat().st_size, sample, kind)


def torch(trained: Path, model: bytes, images: NDArray[np.uint8]) -> Peer:
    """The trained module itself, in this process."""
    import torch as package

    from bnn_toolchain.runtime.engines import torch as engine

    session = engine.load(model, trained)
    sample = calls(lambda: session.run(images), len(images), None)
    return Peer("torch", "binary", package.__version__, len(model), sample)


def lce(graph: Graph, images: NDArray[np.uint8]) -> Peer:
    """LCE's interpreter with its fastest kernel; its worker takes the time of each image, so the pipe costs nothing.

    Raises:
        Unavailable: it is not installed.
        Unsupported: a .tflite cannot hold the graph.
    """
    require_lce()
    from bnn_toolchain.converters import lce as files
    from bnn_toolchain.runtime.engines.lce import session as engine

    data = files.to_bytes(graph)
    session = engine.load(data, "indirect")
    first = session.run_timed(images[:1])[1]
    repeats = max(LEAST_RUNS, int(SECONDS / max(float(first[0, 1]), 1e-6)))

    def sample() -> Round:
        times = session.run_timed(np.repeat(images[:1], min(repeats, 1000), axis=0))[1]
        return Round(times[:, 0], times[:, 1])

    return Peer("lce", "binary", f"{lce_environment.LCE} indirect", len(data), sample)


def lce_there(binary: Path, model: Path, device: Device) -> Peer:
    """LCE's own ``lce_benchmark_model``, which the user built for the device; it tells an average alone.

    Raises:
        CheckFailed, Unavailable: it does not run there.
        BadAnswer: it prints no average.
    """
    words = ["--graph=model.tflite", "--num_threads=1", f"--num_runs={LEAST_RUNS}", f"--min_secs={SECONDS}"]

    def sample() -> Round:
        printed = device.run(binary, words, {"model.tflite": model}, {})
        average = AVERAGE.search(printed.decode("utf-8", "replace"))
        if average is None or not 0 < float(average[1]) < 1e12:
            raise BadAnswer(f"{device}: {binary.name} printed no 'Inference (avg)': is it lce_benchmark_model?")
        return Round(None, np.array([float(average[1]) * 1e-6]))

    return Peer("lce", "binary", binary.name, model.stat().st_size, sample)


def calls(run: Callable[[], Any], batch: int, load: float | None) -> Callable[[], Round]:
    """Times calls in this process: CPU seconds of all its threads, and wall seconds."""
    for _ in range(WARM_UP):
        run()

    def sample() -> Round:
        times: list[tuple[int, int]] = []
        start = time.perf_counter_ns()
        while len(times) < LEAST_RUNS or time.perf_counter_ns() - start < SECONDS * 1e9:
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            run()
            wall = time.perf_counter_ns() - wall
            times.append((time.process_time_ns() - cpu, wall))
        seconds = np.array(times, np.float64) * 1e-9 / batch
        return Round(seconds[:, 0], seconds[:, 1], load)

    return sample


def _times(samples: Path, device: Device, batch: int) -> NDArray[np.float64]:
    """Seconds of one image: float64 [runs, 2], CPU and wall."""
    try:
        nanoseconds = read_array(samples, "<u8", (None, 2))
    except FileFormatError as error:
        raise BadAnswer(f"{device} sent back what it should not: {error}") from error
    if not len(nanoseconds) or nanoseconds.max() > 1e15 or not nanoseconds[:, 1].all():
        raise BadAnswer(f"{device} sent back times that no run takes: does its clock go on?")
    seconds: NDArray[np.float64] = np.maximum(nanoseconds, 1) * (1e-9 / batch)
    return seconds


def _printed(device: Device, program: Path, model: Path, words: list[str], receive: dict[str, Path]) -> Printed:
    try:
        return read_printed(device.run(program, ["model.onnx", *words], {"model.onnx": model}, receive))
    except FileFormatError as error:
        raise BadAnswer(f"{device} sent back what it should not: {error}") from error
