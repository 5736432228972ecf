"""`bnnt predict`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table, progress_bars
from bnn_toolchain.runtime.devices.device import FORMS


def predict(
    model: Annotated[Path, typer.Argument(help="A run folder, a bundle or a model file.")],
    images: Annotated[
        list[str], typer.Argument(help="Image files, folders of them, patterns such as 'photos/*.png', or - for stdin.")
    ],
    top: Annotated[int, typer.Option("--top", min=1, help="How many classes to name, the best first.")] = 1,
    on: Annotated[str, typer.Option("--on", help=f"{FORMS}.")] = "local",
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=1024, help="Of the native engine; never more than there are CPUs.")
    ] = 1,
    json: Json = False,
) -> None:
    """Classify image files with the native engine, here or on a device.

    Examples: bnnt predict bundle seven.png; bnnt predict bundle photos --top 3 --on ssh://pi@raspberrypi
    """
    from bnn_toolchain.packages import named_packages

    with named_packages():
        from bnn_toolchain.prediction import predict_images

    with progress_bars("classifying", "sending") as (progress, sending):
        predictions = predict_images(model, images, on, top, note, progress, sending, threads)
    if json:
        print_json(
            [
                {"image": p.image, "class": p.label, "margin": p.margin, "best": [asdict(score) for score in p.best]}
                for p in predictions
            ]
        )
        return
    rows = [
        (p.image, p.label, f"{p.margin:.4g}", ", ".join(f"{score.label} {score.logit:.4g}" for score in p.best))
        for p in predictions
    ]
    columns = ("image", "class", "margin", "logits")
    print_table("bnnt predict", columns, rows, left=2)
