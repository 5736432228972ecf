"""`bnnt plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, print_json


def plot(
    run: Annotated[Path, typer.Argument(help="A run folder of bnnt train, finished or not.")],
    out: Annotated[Path | None, typer.Option("--out", help="The picture; RUN/plot.svg if not given.")] = None,
    json: Json = False,
) -> None:
    """Draw a run: loss, accuracy, flip ratio and activation balance of each layer, latent weights, learning rate.

    Examples: bnnt plot runs/digits; bnnt plot runs/digits --out digits.png
    """
    from bnn_toolchain.training.plot import plot_run

    picture = out if out is not None else run / "plot.svg"
    plot_run(run, picture)
    if json:
        print_json({"picture": str(picture)})
    else:
        print(picture)
