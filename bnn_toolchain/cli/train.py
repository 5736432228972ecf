"""`bnnt train`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, print_json


def train(
    recipe: Annotated[str, typer.Argument(help="A name that `bnnt recipes` lists, or a YAML file.")],
    out: Annotated[Path | None, typer.Option("--out", help="The run folder; runs/RECIPE if not given.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field, for example optimizer.lr=3e-3. Repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    json: Json = False,
) -> None:
    """Train a model by a recipe; the run folder holds its checkpoints, metrics and summary.

    Examples: bnnt train digits; bnnt train mnist-mlp --set epochs=3 --out runs/m; bnnt train digits --resume
    """
    from bnn_toolchain.api import train_recipe

    folder = out if out is not None else Path("runs") / Path(recipe).stem
    summary = train_recipe(recipe, folder, settings or (), resume)
    if json:
        print_json(asdict(summary))
    else:
        print(
            f"{folder}: test accuracy {summary.test_accuracy:.2%} at epoch {summary.best_epoch} of {summary.epochs}, "
            f"the best on the validation images ({summary.validation_accuracy:.2%}), {summary.seconds:.0f} s"
        )
