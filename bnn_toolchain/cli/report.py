"""`bnnt report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import note


def report(
    run: Annotated[Path, typer.Argument(help="The run folder that the bundle was exported from.")],
    bundle: Annotated[Path, typer.Argument(help="A bundle of `bnnt export`.")],
    benchmarks: Annotated[
        list[Path] | None, typer.Argument(help="Files that `bnnt bench BUNDLE --json` wrote, one a device.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("report.html"),
    float_run: Annotated[
        Path | None, typer.Option("--float", help="The run folder of the same network in float: its accuracy.")
    ] = None,
    on: Annotated[
        list[str] | None, typer.Option("--on", help="A device whose answers are compared as well; repeatable.")
    ] = None,
) -> None:
    """One self-contained page about a network: accuracy, mistakes, latency on devices, agreement, how to repeat it.

    It opens in any browser, without a network, on a phone and on paper.

    Example: bnnt report runs/m bundle pi.json --float runs/f --on ssh://pi@raspberrypi --out report.html
    """
    from bnn_toolchain.files import write_atomically
    from bnn_toolchain.packages import named_packages, require_extra

    require_extra("report", "jinja2", "matplotlib")
    with named_packages():
        from bnn_toolchain.report.findings import gather
        from bnn_toolchain.report.page import render

    page = render(gather(run, bundle, benchmarks or (), float_run, on or (), note))
    write_atomically(out, page.encode())
    print(f"{out}: {len(page.encode()):,} bytes, one page with everything in it")
