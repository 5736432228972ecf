"""`bnnt predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table


def predict(
    model: Annotated[Path, typer.Argument(help="A run folder, a bundle or a model file.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    json: Json = False,
) -> None:
    """Classify image files with the native engine.

    Example: bnnt predict bundle seven.png
    """
    from bnn_toolchain.api import predict_images

    predictions = predict_images(model, images, note)
    if json:
        print_json([{"image": str(p.image), "class": p.label, "margin": p.margin} for p in predictions])
    else:
        rows = [(str(p.image), p.label, f"{p.margin:.4g}") for p in predictions]
        print_table("bnnt predict", ("image", "class", "margin"), rows, left=2)
