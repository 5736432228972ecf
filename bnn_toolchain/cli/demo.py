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

    from bnn_toolchain.packages import require_extra

    require_extra("demo", "mlxtend", "jinja2", "matplotlib")  # before minutes are spent
    from bnn_toolchain.demo import run_demo

    result = run_demo(out, note)
    if json:
        print_json(asdict(result))
        return
    columns = ("network", "engine", "device", "agree exactly", "test accuracy", "median latency", "size")
    print_table(
        "digits: a binary network on every engine, and the same network in float",
        columns,
        [
            (
                row.network,
                row.engine,
                row.device,
                "" if row.agree is None else f"{row.agree} of {row.images}",
                f"{row.correct / row.images:.2%}",
                "" if row.latency is None else f"{row.latency * 1e6:,.1f} µs",
                f"{row.bytes:,} bytes",
            )
            for row in result.rows
        ],
        left=3,
    )
    print(
        "agree exactly: images whose prediction and hidden bits are all those of the reference interpreter. Latency:\n"
        "CPU time of one image on one thread, median; an emulator has none. torch and the reference are not for speed."
    )
    if result.not_run:
        print(result.not_run)
    print(f"{result.report}: the same and more, on a page to show")
