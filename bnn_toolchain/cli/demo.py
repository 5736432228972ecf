"""`bnnt demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where the runs and the bundle go.")] = Path("demo"),
    json: Json = False,
) -> None:
    """Train on real handwritten digits, export for this machine and for arm64, check every engine, measure the speed.

    It takes some minutes and downloads nothing. Run again, it goes on where it stopped.

    Example: bnnt demo
    """
    from dataclasses import asdict

    from bnn_toolchain.demo import run_demo

    rows = run_demo(out, note)
    if json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("network", "engine", "device", "agree exactly", "test accuracy", "median latency", "size")
    print_table(
        "digits: a binary network on every engine, and the same network in float",
        columns,
        [(r.network, r.engine, r.device, r.agree, r.accuracy, r.latency, r.size) for r in rows],
        left=3,
    )
