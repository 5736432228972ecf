"""What one image costs on this machine: the native engine beside onnxruntime, and beside the same network in float.

All run on one thread, one image at a time, in interleaved rounds, so that a machine that slows down slows all of them;
ratios compare engines within a round.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx, require_lce
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import CheckFailed, Unavailable, Unsupported, UsageError
from bnn_toolchain.runtime.checks.twins import float_twin, int8_twin
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.engines import onnxruntime
from bnn_toolchain.runtime.engines.lce import environment as lce_environment

if TYPE_CHECKING:
    from bnn_toolchain.runtime.engines.native.library import NodeTime

ROUNDS = 25
SAMPLE = 0.02  # seconds that one engine runs in one round, at least
PROFILE = 0.2  # seconds for the profile
LOCAL = Local()
WARM_UP = 3  # runs of each engine before the first round


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    name: str
    cpu: str
    system: str
    load_before: float  # load average of the last minute: above 0 somebody else was busy
    load_after: float


@dataclass(frozen=True)
class Timing:
    """One engine on one file; seconds for one image."""

    engine: str
    network: str  # "binary", "float" or "int8"
    version: str  # of the engine; native adds its kernel set
    file_bytes: int
    cpu_median: float
    cpu_min: float
    wall_median: float
    wall_min: float
    times_faster: float  # the float network's CPU time divided by this one's, in the same round; the median
    images: int  # that were run, warm-up aside


@dataclass(frozen=True)
class Benchmark:
    """All engines, interleaved."""

    machine: Machine
    threads: int
    rounds: int
    timings: tuple[Timing, ...]
    missing: tuple[str, ...]  # engines that were not measured, or failed while they were, each with the reason
    profile: tuple[NodeTime, ...]  # of the native engine


@dataclass(frozen=True)
class _Peer:
    engine: str
    network: str
    version: str
    file_bytes: int
    sample: Callable[[int], tuple[float, float]]  # CPU and wall seconds of one image, the mean of so many


def benchmark(model: bytes, device: Device = LOCAL, rounds: int = ROUNDS, trained: Path | None = None) -> Benchmark:
    """Time ``model``, the content of an .onnx file that bnnt wrote, on this machine.

    Every engine gets the same random image. LCE's interpreter, which may crash or hang and then loses its row alone, is
    among them where it is installed, and torch if
    ``trained``, the training run that the model was exported from, is given. The float network is
    :func:`bnn_toolchain.runtime.checks.twins.float_twin`.

    Raises:
        UsageError: the device emulates, so that its time would mean nothing.
        Unavailable: an engine is not installed.
    """
    if device.emulated:
        raise UsageError(
            f"{device} is an emulator: its time says nothing about the CPU that it emulates; copy the bundle's "
            "target folder and model.onnx to the device and run: bnnt-run model.onnx --bench 2 --profile"
        )
    from bnn_toolchain.runtime.engines.native import library as native

    graph = onnx.from_bytes(model)
    image = np.random.default_rng(0).integers(0, 256, (1, *graph.spec.shape), np.uint8)
    session = native.load(model)
    kernels = f"{session.version} {session.kernels}"
    peers = [
        _Peer("native", "binary", kernels, len(model), _calls(lambda: session.run(image))),
        _stock("binary", model, image),
        _stock("float", float_twin(graph), image),
    ]
    optional: dict[str, Callable[[], _Peer]] = {
        "onnxruntime on int8": lambda: _stock("int8", int8_twin(graph), image),
        "lce": lambda: _lce(graph, image),
    }
    missing = []
    for name, make in optional.items():
        try:
            peers.append(make())
        except (Unavailable, Unsupported) as error:
            missing.append(f"{name}: {error}")
    if trained is not None:
        peers.append(_torch(trained, model, image))
    before = os.getloadavg()[0]
    with nullcontext() if trained is None else _one_torch_thread():
        runs, lost = _measure(peers, rounds)
    after = os.getloadavg()[0]
    once = min(cpu for cpu, _ in runs[0].samples)
    stock = next(run for run in runs if run.peer.network == "float")
    return Benchmark(
        machine=Machine(platform.node(), _cpu(), f"{platform.system()} {platform.machine()}", before, after),
        threads=1,
        rounds=rounds,
        timings=tuple(_timing(run, stock) for run in runs),
        missing=(*missing, *lost),
        profile=session.profile(image, max(1, ceil(PROFILE / once))),
    )


def _stock(network: str, model: bytes, image: NDArray[np.uint8]) -> _Peer:
    run = onnxruntime.open_bytes(model)
    return _Peer("onnxruntime", network, onnxruntime.version(), len(model), _calls(lambda: run(image)))


def _torch(trained: Path, model: bytes, image: NDArray[np.uint8]) -> _Peer:
    import torch

    from bnn_toolchain.runtime.engines import torch as engine

    session = engine.load(model, trained)
    return _Peer("torch", "binary", torch.__version__, len(model), _calls(lambda: session.run(image)))


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _lce(graph: Graph, image: NDArray[np.uint8]) -> _Peer:
    """LCE's interpreter with its fastest kernel; its worker takes the time, so the pipe costs nothing."""
    require_lce()
    from bnn_toolchain.converters import lce as files
    from bnn_toolchain.runtime.engines.lce import session as lce

    data = files.to_bytes(graph)
    session = lce.load(data, "indirect")

    def sample(repeats: int) -> tuple[float, float]:
        cpu, wall = session.run_timed(np.repeat(image, repeats, axis=0))[1].mean(axis=0)
        return float(cpu), float(wall)

    return _Peer("lce", "binary", f"{lce_environment.LCE} indirect", len(data), sample)


@dataclass
class _Run:
    """What was measured of one engine so far."""

    peer: _Peer
    repeats: int = 0  # of the image that fill a sample
    samples: list[tuple[float, float]] = field(default_factory=list)  # CPU and wall seconds of one image, a round each


def _measure(peers: list[_Peer], rounds: int) -> tuple[list[_Run], list[str]]:
    """All engines in interleaved rounds; one that crashes or hangs is left out, with what it said."""
    runs, lost = [_Run(peer) for peer in peers], []
    for turn in range(rounds + 1):
        for run in tuple(runs):
            try:
                if turn == 0:
                    run.repeats = _repeats(run.peer)
                else:
                    run.samples.append(run.peer.sample(run.repeats))
            except CheckFailed as error:
                runs.remove(run)
                lost.append(f"{run.peer.engine}: {error}")
    return runs, lost


def _repeats(peer: _Peer) -> int:
    """How many runs fill a sample."""
    peer.sample(WARM_UP)
    return max(1, ceil(SAMPLE / peer.sample(1)[1]))


def _calls(run: Callable[[], Any]) -> Callable[[int], tuple[float, float]]:
    """Times calls: CPU seconds (of all threads of this process) and wall seconds of one."""

    def sample(repeats: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            run()
        return (time.process_time() - cpu) / repeats, (time.perf_counter() - wall) / repeats

    return sample


def _timing(run: _Run, stock: _Run) -> Timing:
    """``stock`` runs the float network."""
    cpu, wall = zip(*run.samples, strict=True)
    return Timing(
        engine=run.peer.engine,
        network=run.peer.network,
        version=run.peer.version,
        file_bytes=run.peer.file_bytes,
        cpu_median=median(cpu),
        cpu_min=min(cpu),
        wall_median=median(wall),
        wall_min=min(wall),
        times_faster=median(theirs / ours for (theirs, _), (ours, _) in zip(stock.samples, run.samples, strict=True)),
        images=run.repeats * len(run.samples),
    )


def _cpu() -> str:
    """The CPU's own name where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    return cpu_name(text) or platform.processor() or platform.machine()


def cpu_name(cpuinfo: str) -> str:
    """What the text of /proc/cpuinfo calls the first CPU: x86 has a name, ARM the numbers of its maker and part."""
    lines = (line.partition(":") for line in reversed(cpuinfo.splitlines()))
    fields = {key.strip(): value.strip() for key, _, value in lines}
    if {"CPU implementer", "CPU part"} <= fields.keys():
        return f"ARM implementer {fields['CPU implementer']} part {fields['CPU part']}"
    return fields.get("model name", "")
