"""`bnnt bench`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bnn_toolchain.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from bnn_toolchain.runtime.checks.benchmark import Benchmark


def bench(
    model: Annotated[str, typer.Argument(help="A run folder, a bundle, a model file, or a recipe: it, untrained.")],
    on: Annotated[str, typer.Option("--on", help="local; an emulator has no latency to measure.")] = "local",
    profile: Annotated[bool, typer.Option("--profile", help="The native engine's time, node by node.")] = False,
    json: Json = False,
) -> None:
    """CPU time of one image on the native engine, onnxruntime and LCE, beside the same network in float32 and int8.

    All on one thread, in interleaved rounds; "times faster" compares with float32 within a round.

    Examples: bnnt bench bundle --profile; bnnt bench cifar10-vgg
    """
    from bnn_toolchain.api import bench_model

    benchmark = bench_model(model, on)
    if json:
        print_json(asdict(benchmark))
        return
    _print(model, benchmark)
    if profile:
        rows = [(node.name, node.op, node.kernel, f"{node.seconds * 1e6:,.1f}") for node in benchmark.profile]
        print_table("native, node by node", ("node", "operator", "kernel", "µs"), rows, left=3)


def _print(title: str, benchmark: Benchmark) -> None:
    columns = ("engine", "network", "CPU µs median", "CPU µs min", "wall µs median", "times faster", "images", "file")
    rows = [
        (
            f"{timing.engine} {timing.version}",
            timing.network,
            f"{timing.cpu_median * 1e6:,.1f}",
            f"{timing.cpu_min * 1e6:,.1f}",
            f"{timing.wall_median * 1e6:,.1f}",
            f"{timing.times_faster:.2f}",
            f"{timing.images:,}",
            f"{timing.file_bytes:,}",
        )
        for timing in benchmark.timings
    ]
    print_table(f"{title}: one image at a time", columns, rows, left=2)
    for reason in benchmark.missing:
        print(f"not measured: {reason}")
    machine = benchmark.machine
    print(
        f"{machine.cpu}, {machine.system}, {benchmark.threads} thread, {benchmark.rounds} interleaved rounds, "
        f"load average {machine.load_before:.2f} before and {machine.load_after:.2f} after"
    )
