"""The page and the figure of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from bnn_toolchain.files import write_atomically
from bnn_toolchain.runtime.comparison.engines import Engine

REFERENCE = "onnxruntime int8"


@dataclass(frozen=True)
class Row:
    """One engine on one network."""

    engine: str
    threads: int
    median: float  # microseconds of one image
    least: float  # the same
    ratio: float  # times faster than onnxruntime's int8 on as many threads: the median of the rounds' ratios


def rows_of(engines: Sequence[Engine], repeats: int) -> list[Row]:
    """``repeats``: how many of what is compared one image passes; times are of one."""
    rows = []
    for engine in engines:
        times = engine.times() * 1e6 / repeats
        reference = next(other for other in engines if other.name == REFERENCE and other.threads == engine.threads)
        column = 0 if engine.threads == 1 else 1
        pairs = zip(reference.rounds, engine.rounds, strict=True)
        ratios = [np.median(a[:, column]) / np.median(b[:, column]) for a, b in pairs]
        ratio = float(np.median(ratios))
        rows.append(Row(engine.name, engine.threads, float(np.median(times)), float(times.min()), ratio))
    return rows


def write_page(folder: Path, name: str, head: Sequence[str], results: Mapping[str, Sequence[Row]]) -> Path:
    """``name``.md and ``name``.svg in ``folder``."""
    lines = [f"# {head[0]}", "", *head[1:], "", f"![times faster than onnxruntime's int8]({name}.svg)", ""]
    for network, rows in results.items():
        lines += [f"## {network}", "", "| engine | threads | µs median | µs least | times faster than int8 |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| {row.engine} | {row.threads} | {row.median:,.1f} | {row.least:,.1f} | {row.ratio:.2f} |" for row in rows
        ]
        lines += [""]
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    write_atomically(page, "\n".join(lines).encode())
    write_atomically(folder / f"{name}.svg", _draw(results))
    return page


def _draw(results: Mapping[str, Sequence[Row]]) -> bytes:
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "bnnt"
    from matplotlib import color_sequences, pyplot

    alone = {network: [row for row in rows if row.threads == 1] for network, rows in results.items()}
    engines = list(dict.fromkeys(row.engine for rows in alone.values() for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.16 * sum(len(rows) + 1 for rows in alone.values())))
    colours = dict(zip(engines, color_sequences["tab10"], strict=False))
    position, ticks = 0.0, []
    for network, rows in alone.items():
        first = position
        for row in rows:
            axes.barh(position, row.ratio, color=colours[row.engine], label=row.engine)
            position -= 1
        ticks.append(((first + position + 1) / 2, network))
        position -= 1
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=8)
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("times faster than onnxruntime's int8, one thread")
    figure.tight_layout()
    drawn = BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return drawn.getvalue()
