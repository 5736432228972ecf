"""The pictures of a report, as SVG that follows the page's colours and is legible on a phone."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bnn_toolchain.report.findings import Confusion, Findings
from bnn_toolchain.runtime.checks.bench_record import Benchmark, Timing
from bnn_toolchain.training.metrics import Epoch

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bnnt",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
"""Text stays text and takes the page's colour; the same findings give the same bytes."""
WIDTH = 4.4  # inches: at most a phone's
BINARY, REAL, ROUNDED = "#2f7ed8", "#d9822b", "#8a8d91"
COLOURS = {"binary": BINARY, "float": REAL, "int8": ROUNDED}
MOST_NUMBERS = 12  # classes with a number in each cell


def learning(epochs: tuple[Epoch, ...]) -> str:
    """Accuracy and loss, by epoch; dotted lines part the stages."""

    def draw(figure: Figure) -> None:
        accuracy, loss = figure.subplots(2, 1, sharex=True)
        number = [epoch.epoch for epoch in epochs]
        accuracy.plot(number, [100 * epoch.accuracy for epoch in epochs], color=ROUNDED, label="training")
        accuracy.plot(number, [100 * epoch.validation_accuracy for epoch in epochs], color=BINARY, label="validation")
        accuracy.set(ylabel="accuracy, %")
        accuracy.legend(frameon=False, loc="lower right")
        loss.plot(number, [epoch.loss for epoch in epochs], color=ROUNDED)
        loss.set(ylabel="loss", xlabel="epoch")
        if all(epoch.loss > 0 for epoch in epochs):
            loss.set_yscale("log")
            _plain_numbers(loss.yaxis)
        loss.xaxis.get_major_locator().set_params(integer=True)
        for a, b in pairwise(epochs):
            if a.stage != b.stage:
                for axes in (accuracy, loss):
                    axes.axvline(b.epoch - 0.5, color=ROUNDED, linestyle=":")

    return _svg(3.6, draw)


def confusion(found: Confusion) -> str:
    """Counts of labels by predictions; colours are shares of a label's images."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shares = found.counts / np.maximum(found.counts.sum(axis=1, keepdims=True), 1)
        few = len(found.classes) <= MOST_NUMBERS
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="face", linewidth=0.2)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.set(xlabel="predicted", ylabel="labelled")
        step = max(1, -(-len(found.classes) // 25))
        ticks = np.arange(0, len(found.classes), step)
        names = [_short(found.classes[i]) for i in ticks]
        axes.set_xticks(ticks + 0.5, names, rotation=0 if max(map(len, names)) < 3 else 90)
        axes.set_yticks(ticks + 0.5, names)
        for row, column in np.argwhere(found.counts) if few else ():
            colour = "#ffffff" if shares[row, column] > 0.5 else "#111111"
            count = found.counts[row, column]
            axes.text(column + 0.5, row + 0.5, str(count), ha="center", va="center", color=colour, fontsize=7)

    return _svg(4.2, draw)


def latency(benchmark: Benchmark) -> str:
    """The median of each engine with its 95 % interval; beside it, how far 99 % of the runs reach."""
    rows = [(_name(timing, benchmark), timing) for timing in benchmark.timings][::-1]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (_, timing) in enumerate(rows):
            spread = timing.wall
            axes.barh(place, spread.median * 1e6, color=COLOURS.get(timing.network, ROUNDED), height=0.6)
            low, high = ((spread.median - spread.low) * 1e6, (spread.high - spread.median) * 1e6)
            axes.errorbar(spread.median * 1e6, place, xerr=[[low], [high]], color="#000000", capsize=2, linewidth=1)
            axes.annotate(
                f"{spread.median * 1e6:,.0f}",
                (spread.high * 1e6, place),
                (5, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set(xlabel="µs an image, median and 95 % interval")
        axes.margins(x=0.18)

    return _svg(0.9 + 0.42 * len(rows), draw)


def layers(benchmark: Benchmark) -> str:
    """The time of each node of the native engine, and its multiply-accumulates a cycle where they are known."""
    nodes = [node for node in benchmark.profile if node.seconds > 0][::-1]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(range(len(nodes)), [node.seconds * 1e6 for node in nodes], color=BINARY, height=0.6)
        for place, node in enumerate(nodes):
            rate = f"{node.macs_per_cycle:,.0f} a cycle" if node.macs_per_cycle else ""
            rate += f", {node.share_of_peak:.0%}" if node.share_of_peak else ""
            axes.annotate(
                rate, (node.seconds * 1e6, place), (4, 0), textcoords="offset points", va="center", fontsize=7
            )
        axes.set_yticks(range(len(nodes)), [_short(f"{node.name} {node.op}", 26) for node in nodes], fontsize=7)
        axes.set(xlabel="µs")
        axes.margins(x=0.6)

    return _svg(0.8 + 0.24 * len(nodes), draw)


def trade(findings: Findings) -> str | None:
    """Accuracy by latency of the binary network and the same one in float; None without both accuracies."""
    accuracy = findings.bundle.manifest.accuracy
    if accuracy is None or findings.float_summary is None or not findings.benchmarks:
        return None
    height = {"binary": 100 * accuracy.value, "float": 100 * findings.float_summary.test_accuracy}
    points = sorted(
        (timing.wall.median * 1e6, height[timing.network], timing.network, _name(timing, benchmark))
        for benchmark in findings.benchmarks
        for timing in benchmark.timings
        if timing.network in height
    )

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (x, y, network, name) in enumerate(points):
            axes.scatter(x, y, color=COLOURS[network], s=30)
            above = 6 + 10 * (place % 3)  # neighbours do not write over each other
            axes.annotate(name, (x, y), (0, above), textcoords="offset points", fontsize=7, ha="center")
        axes.set_xscale("log")
        _plain_numbers(axes.xaxis)
        axes.set(xlabel="µs an image, median", ylabel="test accuracy, %")
        axes.margins(0.25, 0.35)

    return _svg(2.8, draw)


def _plain_numbers(axis: Axis) -> None:
    """A logarithmic axis with few, plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def sizes(benchmark: Benchmark) -> str:
    """Bytes of the files that were timed, one for each network."""
    files = {timing.network: timing.file_bytes for timing in benchmark.timings if timing.engine != "lce"}
    rows = sorted(files.items(), key=lambda item: item[1], reverse=True)

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        axes.barh([n for n, _ in rows], [b / 1000 for _, b in rows], color=[COLOURS.get(n, ROUNDED) for n, _ in rows])
        for place, (_, size) in enumerate(rows):
            axes.annotate(f"{size / 1000:,.0f}", (size / 1000, place), (4, 0), textcoords="offset points", va="center")
        axes.set(xlabel="KB of the model file")
        axes.margins(x=0.18)

    return _svg(0.8 + 0.38 * len(rows), draw)


def _name(timing: Timing, benchmark: Benchmark) -> str:
    several = len({t.cores for t in benchmark.timings if t.engine == "native"}) > 1
    return f"{timing.engine}, {timing.network}" + (f", {_short(timing.cores, 14)}" if several and timing.cores else "")


def _short(text: str, most: int = 12) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _svg(height: float, draw: Callable[[Figure], None]) -> str:
    """The figure as an element that a page holds, as wide as its place."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
