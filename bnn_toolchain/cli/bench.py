"""`bnnt bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table, progress_bars
from bnn_toolchain.runtime.devices.device import FORMS

if TYPE_CHECKING:
    from bnn_toolchain.runtime.checks.bench_record import Benchmark, Timing


def bench(
    model: Annotated[
        str | None, typer.Argument(help="A run folder, a bundle, a model file, or a recipe: it, untrained.")
    ] = None,
    on: Annotated[str, typer.Option("--on", help=f"{FORMS}.")] = "local",
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine", help="Rivals, onnxruntime or lce; repeatable. Without it: both here, none on a device."
        ),
    ] = None,
    binary: Annotated[
        Path | None, typer.Option("--binary", help="Your lce_benchmark_model, built for the device: for --engine lce.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images in one run; times are of one image.")] = 1,
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=1024, help="Of every engine; never more than there are CPUs.")
    ] = 1,
    profile: Annotated[bool, typer.Option("--profile", help="The native engine's time, node by node.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", help="Two files that --json wrote: is the second faster or slower?"),
    ] = None,
    json: Json = False,
) -> None:
    """Time of one image on the native engine, beside its rivals and the same network in float32 and int8.

    All on one thread, pinned to one core, or on --threads, in interleaved rounds; "times faster" compares with float32
    within a round.
    On a device nothing is installed: rivals run there if its own Python has onnxruntime.

    Examples: bnnt bench bundle --profile; bnnt bench bundle --on ssh://pi@raspberrypi --json > a.json;
    bnnt bench --compare a.json b.json
    """
    from bnn_toolchain.api import bench_model
    from bnn_toolchain.errors import UsageError

    if compare is not None:
        if model is not None:
            raise UsageError("--compare takes two files and no model")
        _compare(*compare, json)
        return
    if model is None:
        raise UsageError("give a model to time, or two files of earlier times to --compare")
    with progress_bars("timing", "sending") as (progress, sending):
        benchmark = bench_model(
            model,
            on,
            rivals=engine,
            batch=batch,
            threads=threads,
            lce_binary=binary,
            announce=note,
            progress=progress,
            sending=sending,
        )
    if json:
        print_json(benchmark.model_dump(mode="json"))
        return
    _print(benchmark)
    if profile:
        rows = [
            (
                node.name,
                node.op,
                node.kernel,
                f"{node.seconds * 1e6:,.1f}",
                f"{node.macs:,}" if node.macs else "",
                "" if node.macs_per_cycle is None else f"{node.macs_per_cycle:.1f}",
                "" if node.share_of_peak is None else f"{node.share_of_peak:.0%}",
                f"{node.moved:,}",
            )
            for node in benchmark.profile
        ]
        columns = ("node", "operator", "kernel", "µs", "MACs", "MACs a cycle", "of the peak", "bytes moved")
        print_table("native, node by node", columns, rows, left=3)


def _print(benchmark: Benchmark) -> None:
    machine = benchmark.machine
    columns = ("engine", "network", "CPU µs median", "95 %", "wall µs median", "p90", "p99", "min", "times faster")
    several = len({timing.cores for timing in benchmark.timings if timing.cores}) > 1
    rows = [
        (
            f"{timing.engine} {timing.version}" + (f" on {timing.cores}" if several and timing.cores else ""),
            timing.network,
            "" if timing.cpu is None else f"{timing.cpu.median * 1e6:,.1f}",
            _interval(timing),
            *(f"{value * 1e6:,.1f}" for value in _walls(timing)),
            "" if timing.times_faster is None else f"{timing.times_faster:.2f}",
        )
        for timing in benchmark.timings
    ]
    emulated = ", EMULATED" if machine.emulated else ""
    images = "one image at a time" if benchmark.batch == 1 else f"{benchmark.batch} images at a time, µs of one"
    print_table(f"{benchmark.model} on {machine.device}{emulated}: {images}", columns, rows, left=2)
    for timing in benchmark.timings:
        if timing.load is not None and timing.peak_bytes is not None:
            size = f"{timing.file_bytes:,} bytes of file"
            peak = f"{timing.peak_bytes / 2**20:.1f} MB of memory at most"
            print(f"{timing.engine}: loads in {timing.load * 1e3:.1f} ms, {size}, {peak}, {timing.runs:,} runs")
    if benchmark.joules is not None:
        print(f"native: {benchmark.joules * 1e3:.2f} mJ an image, of the whole CPU and all that it does besides")
    for reason in benchmark.missing:
        print(f"not measured: {reason}")
    for warning in benchmark.warnings:
        print(f"warning: {warning}")
    threads = "1 thread" if benchmark.threads == 1 else f"{benchmark.threads} threads"
    loads = (f"{state.load:.2f}" if state.load is not None else "unknown" for state in (machine.before, machine.after))
    print(
        f"{machine.cpu}, {machine.system}, {threads}, {benchmark.rounds} interleaved rounds, "
        f"load average {' before and '.join(loads)} after"
    )


def _interval(timing: Timing) -> str:
    spread = timing.cpu or timing.wall
    return f"{spread.low * 1e6:,.1f} to {spread.high * 1e6:,.1f}"


def _walls(timing: Timing) -> tuple[float, ...]:
    wall = timing.wall
    return wall.median, wall.p90, wall.p99, wall.min


def _compare(first: Path, second: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from bnn_toolchain.runtime.checks.bench_record import compare, read_benchmark

    rows = compare(read_benchmark(first), read_benchmark(second))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        f"{second}, compared with {first}",
        ("engine", "network", "clock", "µs first", "µs second", "ratio", "95 %", "margin", "the second is"),
        [
            (
                f"{row.engine} on {row.cores}" if row.cores else row.engine,
                row.network,
                row.clock,
                f"{row.first * 1e6:,.1f}",
                f"{row.second * 1e6:,.1f}",
                f"{row.ratio.value:.3f}",
                f"{row.ratio.interval.low:.3f} to {row.ratio.interval.high:.3f}",
                f"{row.ratio.margin:.0%}",
                row.ratio.verdict,
            )
            for row in rows
        ],
        left=3,
    )
    print(
        "µs: medians of the rounds' tenth percentiles. Ratios are in units of a fixed piece of work, timed beside the\n"
        "model. Margin: how far apart rounds and runs lie on this machine; a smaller difference is not told from it."
    )
