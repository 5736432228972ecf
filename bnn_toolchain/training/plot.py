"""A run in one picture."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.files import write_atomically
from bnn_toolchain.layers import latent_weights
from bnn_toolchain.training.load import load_run
from bnn_toolchain.training.metrics import Epoch, read_epochs
from bnn_toolchain.training.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import nn

BINS = 60


def plot_run(run: Path, picture: Path, model: nn.Module | None = None) -> None:
    """Draw loss, accuracy, flip ratios, activation balance, latent weights and learning rate of a run folder.

    Dotted lines part the stages. ``picture`` ends in .svg, .png or .pdf. ``model`` as in
    :func:`bnn_toolchain.training.load.load_run`. The latent weights are those of the last epoch.

    Raises:
        UsageError: the run has no epoch yet, or the picture's kind is unknown.
        FileFormatError: it is no run folder.
        Unavailable: matplotlib is not installed.
    """
    if picture.suffix not in (".svg", ".png", ".pdf"):
        raise UsageError(f"{picture}: give a name that ends in .svg, .png or .pdf")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Unavailable("drawing needs matplotlib: pip install 'bnnt[plot]'") from error
    epochs = read_epochs(RunFolder(run).metrics)
    if not epochs:
        raise UsageError(f"{run} has not finished an epoch")
    figure = Figure(figsize=(15, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    _curves(axes, epochs)
    latents = latent_weights(load_run(run, "last", model).model)
    for name, weight in latents.items():
        axes[1, 1].hist(weight.detach().flatten().numpy(), bins=BINS, histtype="step", density=True, label=name)
    axes[1, 1].set(title="latent weights", xlabel="weight", ylabel="density")
    for axis in axes.flat:
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize="x-small")
    figure.suptitle(str(run))
    drawn = io.BytesIO()
    figure.savefig(drawn, format=picture.suffix.removeprefix("."))
    write_atomically(picture, drawn.getvalue())


def _curves(axes: Any, epochs: list[Epoch]) -> None:
    number = [epoch.epoch for epoch in epochs]
    boundaries = [b.epoch - 0.5 for a, b in pairwise(epochs) if a.stage != b.stage]
    panels: tuple[tuple[Any, str, str, dict[str, list[float]]], ...] = (
        (axes[0, 0], "loss", "log", {"": [epoch.loss for epoch in epochs]}),
        (
            *(axes[0, 1], "accuracy", "linear"),
            {
                "training": [epoch.accuracy for epoch in epochs],
                "validation": [epoch.validation_accuracy for epoch in epochs],
            },
        ),
        (axes[0, 2], "share of weights that changed sign", "log", _by_layer([epoch.flip_ratios for epoch in epochs])),
        (axes[1, 0], "share of +1 outputs", "linear", _by_layer([epoch.positive_shares for epoch in epochs])),
        (axes[1, 2], "learning rate", "log", {"": [epoch.learning_rate for epoch in epochs]}),
    )
    for panel, title, scale, curves in panels:
        for label, values in curves.items():
            panel.plot(number, values, label=label or None, marker="." if len(number) < 40 else None)
        if scale == "log" and any(value > 0 for values in curves.values() for value in values):
            panel.set_yscale("log")
        panel.set(title=title, xlabel="epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        for boundary in boundaries:
            panel.axvline(boundary, color="grey", linestyle=":")


def _by_layer(records: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [record.get(name, math.nan) for record in records] for name in records[0]}
