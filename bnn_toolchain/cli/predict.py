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
    import numpy as np

    from bnn_toolchain.api import open_model
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.data.images import load_images
    from bnn_toolchain.runtime.engines.native import library as native

    graph = open_model(model)
    pixels, remarks = load_images(images, graph.spec)
    for remark in remarks:
        note(remark)
    logits = native.load(onnx.to_bytes(graph)).run(pixels)
    best = logits.argmax(axis=1)
    found = [
        (str(path), graph.spec.classes[index], float(row[index] - np.partition(row, -2)[-2]) if len(row) > 1 else 0.0)
        for path, index, row in zip(images, best, logits, strict=True)
    ]
    if json:
        print_json([{"image": image, "class": name, "margin": margin} for image, name, margin in found])
    else:
        print_table("bnnt predict", ("image", "class", "margin"), ((i, n, f"{m:.4g}") for i, n, m in found), left=2)
