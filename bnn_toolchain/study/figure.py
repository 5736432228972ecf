"""A study as a picture: learning curves, test accuracies, learning-rate sweeps."""

from __future__ import annotations

import io
import statistics
from itertools import zip_longest
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bnn_toolchain.study.questions import Measure
from bnn_toolchain.study.statistics import mean_interval
from bnn_toolchain.study.study import Compared, Study

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bnnt",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Text stays text, and the same study gives the same bytes."""


def draw(study: Study, target: float) -> str:
    """The figure as SVG, without a date."""
    shares = any(expectation.measure is Measure.POSITIVE_SHARE for expectation in study.question.expectations)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * (3 + shares), 3.4), layout="constrained")
        axes = list(figure.subplots(1, 3 + shares))
        _curves(axes[0], study, target)
        _accuracies(axes[1], study)
        _sweeps(axes[2], study)
        if shares:
            _shares(axes[3], study)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(f"{study.question.name}: {study.question.asks}")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _curves(axes: Axes, study: Study, target: float) -> None:
    for number, compared in enumerate(study.compared):
        curves = [[epoch.validation_accuracy for epoch in trial.epochs] for trial in compared.trials]
        columns = [[value for value in column if value is not None] for column in zip_longest(*curves)]
        epochs = range(1, len(columns) + 1)
        colour = f"C{number}"
        axes.plot(epochs, [statistics.fmean(c) for c in columns], color=colour, label=compared.setting.name)
        axes.fill_between(epochs, [min(c) for c in columns], [max(c) for c in columns], color=colour, alpha=0.15, lw=0)
    axes.axhline(target, color="0.5", lw=0.8, ls=":")
    axes.set(xlabel="epoch", ylabel="validation accuracy", title="mean and range of the seeds; dotted: target")


def _accuracies(axes: Axes, study: Study) -> None:
    for number, compared in enumerate(study.compared):
        values = [trial.outcome.test_accuracy for trial in compared.trials]
        interval = mean_interval(values)
        error = interval.high - interval.mean
        axes.errorbar([number], [interval.mean], yerr=[error], color=f"C{number}", marker="o", capsize=4)
        axes.plot([number] * len(values), values, ".", color="0.4", ms=3)
    axes.set(
        xticks=[], xlim=(-0.5, len(study.compared) - 0.5), ylabel="test accuracy", title="mean, 95 % interval, seeds"
    )


def _sweeps(axes: Axes, study: Study) -> None:
    for number, compared in enumerate(study.compared):
        rates = [trial.rate for trial in compared.sweep]
        accuracies = [trial.outcome.validation_accuracy for trial in compared.sweep]
        axes.plot(rates, accuracies, "o-", color=f"C{number}", ms=3, lw=1)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())  # a sweep within a decade would have its labels overlap
    axes.set(xlabel="learning rate", ylabel="best validation accuracy", title="sweeps, one seed")


def _shares(axes: Axes, study: Study) -> None:
    for number, compared in enumerate(study.compared):
        axes.bar([number], [_share(compared)], color=f"C{number}")
    axes.axhline(0.5, color="0.5", lw=0.8, ls=":")
    axes.set(xticks=[], ylim=(0, 1), ylabel="share of +1", title="what binary layers read")


def _share(compared: Compared) -> float:
    shares = [trial.outcome.positive_share for trial in compared.trials]
    return statistics.fmean(share for share in shares if share is not None)
