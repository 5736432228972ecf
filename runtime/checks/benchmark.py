"""What one image costs on a device: the native engine beside its rivals, and beside the same network in float and int8.

All run on one thread, pinned to one core, in interleaved rounds, so that a machine that slows down slows all of them;
ratios compare engines within a round.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.cost import LayerCost, cost_of
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import CheckFailed, Unavailable, Unsupported, UsageError
from bnn_toolchain.progress import Progress, uncounted
from bnn_toolchain.runtime.checks import peers
from bnn_toolchain.runtime.checks.bench_record import Benchmark, Machine, ProfiledNode, Spread, State, Timing
from bnn_toolchain.runtime.checks.peers import Peer, Pinned, Round
from bnn_toolchain.runtime.checks.samples import median_interval
from bnn_toolchain.runtime.checks.twins import float_twin, int8_twins
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.devices.facts import Facts, read_facts
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.scripts import FACTS
from bnn_toolchain.runtime.engines.native.printed import Profile
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import oldest_target

ROUNDS = 25
LOCAL = Local()
MOST_BATCH = 4096
LOW = 10  # the percentile that runs are compared by
RIVALS = ("onnxruntime", "lce")


@dataclass(frozen=True, eq=False)
class Plan:
    """What is measured besides the native engine, and how."""

    rounds: int = ROUNDS
    batch: int = 1
    threads: int = 1
    rivals: Sequence[str] | None = None  # of RIVALS; None: all here, none on a device
    trained: Path | None = None  # the training run that the model was exported from: torch is timed as well
    program: Path | None = None  # bnnt-run for the device; None: one that every such CPU runs
    lce_binary: Path | None = None  # lce_benchmark_model, built for the device
    calibration: NDArray[np.uint8] | None = None  # images for int8; None: random ones


def benchmark(
    model: bytes, device: Device = LOCAL, plan: Plan | None = None, title: str = "model", progress: Progress = uncounted
) -> Benchmark:
    """Time ``model``, the content of an .onnx file that bnnt wrote, on ``device``.

    Every engine gets the same random images. An engine that crashes or hangs loses its row alone. The float network is
    :func:`bnn_toolchain.runtime.checks.twins.float_twin`. ``progress`` is told the rounds.

    Raises:
        UsageError: an emulator, an impossible batch, rivals on a device beside several threads, or an unknown rival.
        CheckFailed: the native engine does not run.
        Unavailable: an engine is not installed, or the device is lost.
        BadAnswer: the device answers what it should not.
    """
    plan = plan or Plan()
    if not device.timed:
        raise UsageError(
            f"{device} is an emulator: its time says nothing about the CPU that it emulates; bench on the device "
            "itself (--on ssh://…), or copy the bundle's target folder and model.onnx there and run: "
            "bnnt-run model.onnx --bench 2 --profile"
        )
    if not 1 <= plan.batch <= MOST_BATCH:
        raise UsageError(f"a batch of {plan.batch}: take 1 to {MOST_BATCH}")
    graph = onnx.from_bytes(model)
    program = plan.program or build(oldest_target(device.arch)).program
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bnnt-")))
        file = folder / "model.onnx"
        file.write_bytes(model)
        before = read_facts(device.script(FACTS), str(device))
        places = places_of(before, device)
        if device.here and plan.threads == 1 and places[-1].core is not None:
            stack.enter_context(_pinned(places[-1].core))
        if plan.trained is not None:
            stack.enter_context(_one_torch_thread())
        places = places if plan.threads == 1 else [Pinned("", None)]
        contenders = [peers.native(device, program, file, plan.batch, place, plan.threads) for place in places]
        rivals, missing = _rivals(graph, model, device, plan, places[-1], folder)
        runs, lost = _measure([*contenders, *rivals], plan.rounds, progress)
        joules = _joules(device, contenders[-1], before)
        profiled = peers.profile(device, program, file, places[-1], plan.threads).profile
        after = read_facts(device.script(FACTS), str(device))
    real = next((run for run in runs if run.peer.network == "float"), None)
    cost = {row.name: row for row in cost_of(graph, len(model)).rows}
    return Benchmark(
        bnnt=metadata.version("bnnt"),
        model=title,
        machine=_machine(device, before, after),
        threads=plan.threads,
        batch=plan.batch,
        rounds=plan.rounds,
        yardstick=tuple(round_.yardstick or 0.0 for round_ in runs[0].rounds),
        timings=tuple(timing_of(run, real, by_wall=plan.threads > 1) for run in runs),
        missing=(*missing, *lost),
        warnings=tuple(warnings_of(device, before, after)),
        joules=joules,
        profile=() if profiled is None else tuple(_nodes(profiled, cost, device.emulated)),
    )


def _nodes(profiled: Profile, cost: Mapping[str, LayerCost], emulated: bool) -> Iterator[ProfiledNode]:
    """The nodes' times, with what they do in a cycle."""
    for node in profiled.nodes:
        row, cycles = cost.get(node.name), node.wall_us * profiled.megahertz
        macs = 0 if row is None else row.binary_macs + row.other_macs
        rate = macs / cycles if macs and cycles and not emulated else None
        method = node.kernel.split(" ")[0]
        peak = profiled.peaks.get("bits" if method == "direct" else method, 0) / 1000
        yield ProfiledNode(
            name=node.name,
            op=node.op,
            kernel=node.kernel,
            seconds=node.wall_us * 1e-6,
            macs=macs,
            macs_per_cycle=rate,
            share_of_peak=rate / peak if rate is not None and peak else None,
            moved=0 if row is None else row.moved,
        )


def places_of(facts: Facts, device: Device) -> list[Pinned]:
    """A core of each kind, the last of its kind: the first ones serve interrupts. The fastest kind comes last."""
    allowed = os.sched_getaffinity(0) if device.here else None
    places = []
    for kind, numbers in facts.clusters.items():
        free = [number for number in numbers if allowed is None or number in allowed]
        if free:
            places.append(Pinned(kind, free[-1]))
    return places or [Pinned("", None)]


def _rivals(
    graph: Graph, model: bytes, device: Device, plan: Plan, place: Pinned, folder: Path
) -> tuple[list[Peer], list[str]]:
    """All that run, and why the others do not."""
    wanted = plan.rivals if plan.rivals is not None else RIVALS if device.here else ()
    if unknown := sorted(set(wanted) - set(RIVALS)):
        raise UsageError(f"'{unknown[0]}' cannot be timed beside the native engine: choose from {', '.join(RIVALS)}")
    if plan.threads > 1 and wanted and not device.here:
        raise UsageError(f"on {device} rivals are timed on one thread alone: leave --engine or --threads out")
    images = np.random.default_rng(0).integers(0, 256, (plan.batch, *graph.spec.shape), np.uint8)

    def stock(network: str, content: bytes) -> Peer:
        if device.here:
            return peers.stock(network, content, images, plan.threads)
        file = folder / f"{network}-{hashlib.sha256(content).hexdigest()}.onnx"  # int8 has two
        file.write_bytes(content)
        return peers.stock_there(network, file, images, device, place.core, place.kind)

    def int8() -> Peer:
        schemes = [stock("int8", twin) for twin in int8_twins(graph, plan.calibration)]
        return min(schemes, key=lambda peer: float(np.median(peer.sample().wall)))

    def lce() -> Peer:
        if plan.threads > 1:
            raise Unavailable("it is timed on one thread alone")
        if device.here:
            return peers.lce(graph, images)
        if plan.lce_binary is None:
            raise Unavailable("give your lce_benchmark_model, built for the device, with --binary PATH")
        from bnn_toolchain.converters import lce as files

        file = folder / "model.tflite"
        file.write_bytes(files.to_bytes(graph))
        return peers.lce_there(plan.lce_binary, file, device)

    makers: list[tuple[str, Callable[[], Peer]]] = []
    if "onnxruntime" in wanted:
        makers += [
            ("onnxruntime", lambda: stock("binary", model)),
            ("float", lambda: stock("float", float_twin(graph))),
        ]
        makers += [("onnxruntime on int8", int8)]
    if "lce" in wanted:
        makers += [("lce", lce)]
    if plan.trained is not None:
        trained = plan.trained
        makers += [("torch", lambda: peers.torch(trained, model, images))]
    made, missing = [], []
    for name, make in makers:
        try:
            made.append(make())
        except (Unavailable, Unsupported, CheckFailed) as error:
            if device.here and name in ("onnxruntime", "float", "torch"):
                raise
            missing.append(f"{name}: {error}")
    return made, missing


@dataclass
class Run:
    """What was measured of one engine so far."""

    peer: Peer
    rounds: list[Round] = field(default_factory=list)


def _measure(contenders: Sequence[Peer], rounds: int, progress: Progress) -> tuple[list[Run], list[str]]:
    """All engines in interleaved rounds; a rival that crashes or hangs is left out, with what it said.

    Raises:
        CheckFailed: the native engine did.
    """
    runs, lost = [Run(peer) for peer in contenders], []
    for turn in range(rounds):
        for run in tuple(runs):
            try:
                run.rounds.append(run.peer.sample())
            except CheckFailed as error:
                if run.peer.engine == "native":
                    raise
                runs.remove(run)
                lost.append(f"{run.peer.engine}: {error}")
        progress(turn + 1, rounds)
    return runs, lost


def timing_of(run: Run, real: Run | None, *, by_wall: bool = False) -> Timing:
    """``real`` ran the float network, in the same rounds. Several threads are compared by the clock on the wall."""
    cpu = [round_.cpu for round_ in run.rounds if round_.cpu is not None]
    wall = [round_.wall for round_ in run.rounds]
    loads = [round_.load for round_ in run.rounds if round_.load is not None]
    peaks = [round_.peak_bytes for round_ in run.rounds if round_.peak_bytes is not None]
    both = [] if real is None else zip(real.rounds, run.rounds, strict=True)
    ratios = [_time(a, by_wall=by_wall) / _time(b, by_wall=by_wall) for a, b in both]
    return Timing(
        engine=run.peer.engine,
        network=run.peer.network,
        version=run.peer.version,
        cores=run.peer.cores,
        file_bytes=run.peer.file_bytes,
        cpu=_spread(cpu) if cpu else None,
        wall=_spread(wall),
        times_faster=median(ratios) if ratios else None,
        runs=sum(len(times) for times in wall),
        load=median(loads) if loads else None,
        peak_bytes=max(peaks, default=None),
        cpu_low=tuple(float(np.percentile(times, LOW)) for times in cpu),
        wall_low=tuple(float(np.percentile(times, LOW)) for times in wall),
    )


def _spread(rounds: Sequence[NDArray[np.float64]]) -> Spread:
    everything = np.concatenate(rounds)
    medians = [float(np.median(times)) for times in rounds]
    interval = median_interval(medians)
    p90, p99 = np.percentile(everything, [90, 99])
    return Spread(
        min=float(everything.min()),
        median=median(medians),
        low=interval.low,
        high=interval.high,
        p90=float(p90),
        p99=float(p99),
    )


def _time(round_: Round, *, by_wall: bool) -> float:
    return float(np.median(round_.wall if round_.cpu is None or by_wall else round_.cpu))


def _joules(device: Device, peer: Peer, before: Facts) -> float | None:
    """What the whole CPU takes for one image, all that it does besides included, where it has a meter."""
    if before.state.joules is None:
        return None
    start = read_facts(device.script(FACTS), str(device)).state.joules
    images = sum(len(peer.sample().wall) for _ in range(10))
    end = read_facts(device.script(FACTS), str(device)).state.joules
    return (end - start) / images if start is not None and end is not None and end > start else None


def _machine(device: Device, before: Facts, after: Facts) -> Machine:
    kinds = ", ".join(f"{len(numbers)} x {kind}" for kind, numbers in before.clusters.items())
    return Machine(
        name=before.model or (platform.node() if device.here else str(device)),
        device=str(device),
        cpu=f"{device.cpu}, emulated on {kinds}" if device.emulated else kinds or "unknown",
        system=f"{before.system} {before.kernel} {before.machine}",
        emulated=device.emulated,
        before=_state(before),
        after=_state(after),
    )


def _state(facts: Facts) -> State:
    state = facts.state
    return State(
        load=state.load,
        governors=state.governors,
        gigahertz=tuple(hertz / 1e9 for hertz in state.hertz),
        celsius=state.celsius,
        throttled=state.throttled,
    )


def warnings_of(device: Device, before: Facts, after: Facts) -> Iterator[str]:
    if device.emulated:
        yield f"{device} is an emulator: these times say nothing about the CPU that it emulates"
    if words := after.state.throttled or before.state.throttled:
        yield f"the device slowed itself down while it was measured: {words}"
    elif after.state.throttle_counts > before.state.throttle_counts:
        yield "the device slowed itself down while it was measured: its CPU became too hot"
    powersave = {"powersave", "conservative"} & set(before.state.governors)
    if powersave and device.arch == "arm64":
        yield f"the governor {min(powersave)} keeps the CPU slow: bnnt device check says what to do"


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """This process, and what it starts, on one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
