"""A study on paper: the table of its runs, the report, and the same as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bnn_toolchain.files import write_atomically
from bnn_toolchain.study.figure import draw
from bnn_toolchain.study.recipes import DECAY, code_version
from bnn_toolchain.study.statistics import Interval, mean_interval
from bnn_toolchain.study.study import SWEEP_SEED, Compared, Study
from bnn_toolchain.study.verdict import TARGET, epochs_to, seconds_to, target_of, verdicts

COLUMNS = (
    "setting",
    "learning rate",
    "test accuracy",
    "validation",
    "epochs to target",
    "seconds to target",
    "share of +1",
)


def write_report(study: Study, out: Path, command: str) -> None:
    """Write table.csv (a line a run), summary.json, figure.svg and report.md; ``command`` is what asked for them.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    for name, text in (
        ("table.csv", table(study)),
        ("summary.json", json.dumps(summary(study), indent=2) + "\n"),
        ("figure.svg", draw(study, target_of(study))),
        ("report.md", report(study, command)),
    ):
        write_atomically(out / name, text.encode())


def table(study: Study) -> str:
    """All runs as CSV."""
    target = target_of(study)
    text = io.StringIO()
    columns = (
        "role,setting,learning_rate,seed,run,diverged,test_accuracy,validation_accuracy,best_epoch,epochs,seconds,"
        "epochs_to_target,seconds_to_target,positive_share"
    )
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns.split(","))
    for trial in study.trials:
        outcome, seconds = trial.outcome, seconds_to(trial, target)
        share = "" if outcome.positive_share is None else f"{outcome.positive_share:.4f}"
        writer.writerow(
            (
                *(trial.role, trial.setting, trial.rate, trial.seed, trial.key, "yes" if outcome.diverged else ""),
                *(
                    f"{outcome.test_accuracy:.4f}",
                    f"{outcome.validation_accuracy:.4f}",
                    outcome.best_epoch,
                    outcome.epochs,
                ),
                *(
                    f"{outcome.seconds:.2f}",
                    epochs_to(trial, target),
                    "" if seconds is None else f"{seconds:.2f}",
                    share,
                ),
            )
        )
    return text.getvalue()


def summary(study: Study) -> dict[str, Any]:
    """What came out as one document; accuracies and shares are 0 to 1, an interval's bounds null where unknown."""
    target = target_of(study)
    return {
        "question": study.question.name.value,
        "base": study.base.name,
        "code": code_version(),
        "target_validation_accuracy": target,
        "settings": [_setting(compared, target) for compared in study.compared],
        "verdicts": [
            {"outcome": verdict.outcome, "words": verdict.words, "difference": _bounds(verdict.difference)}
            for verdict in verdicts(study)
        ],
    }


def _setting(compared: Compared, target: float) -> dict[str, Any]:
    shares = _present([trial.outcome.positive_share for trial in compared.trials])
    return {
        "setting": compared.setting.name,
        "learning_rate": compared.rate,
        "at_edge_of_sweep": compared.at_edge,
        "seeds": [trial.seed for trial in compared.trials],
        "test_accuracy": _bounds(mean_interval([trial.outcome.test_accuracy for trial in compared.trials])),
        "validation_accuracy": statistics.fmean(trial.outcome.validation_accuracy for trial in compared.trials),
        "epochs_to_target": [epochs_to(trial, target) for trial in compared.trials],
        "seconds_to_target": [seconds_to(trial, target) for trial in compared.trials],
        "positive_share": statistics.fmean(shares) if shares else None,
    }


def report(study: Study, command: str) -> str:
    """The report as Markdown."""
    question, target, judged = study.question, target_of(study), verdicts(study)
    counts = {kind: sum(verdict.outcome == kind for verdict in judged) for kind in ("agrees", "disagrees", "undecided")}
    seeds = len(study.compared[0].trials)
    rows = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ("---",) * len(COLUMNS), *rows_of(study))]
    edges = [compared.setting.name for compared in study.compared if compared.at_edge]
    edge = f" For {', '.join(edges)} it is the lowest or highest tried: others may be better." if edges else ""
    return f"""# {question.name}: {question.asks}

**The paper** (Alizadeh et al. 2019, {question.section}): {question.claim}

**Here**: {counts["agrees"]} of {len(judged)} testable parts of the claim agree, {counts["disagrees"]} disagree, \
{counts["undecided"]} are undecided.

{chr(10).join(f"- {verdict.words}" for verdict in judged)}

Command: `{command}`

{chr(10).join(rows)}

![validation accuracy by epoch, test accuracy, learning-rate sweeps](figure.svg)

**How**: {study.base.name}: {_described(study)}. The learning rate falls exponentially to 1/{DECAY:.0f} over a run. \
Each setting has its own sweep of it (seed {SWEEP_SEED}, best validation accuracy).{edge} The table has {seeds} other \
seeds at that rate: mean test accuracy at the best validation epoch, with a 95 % t-interval of the mean. The target is \
{target:.1%} validation accuracy, {TARGET:.0%} of the best setting's mean; a dash is a run that did not reach it. \
Verdicts are Welch's t-tests at 5 %, or \
Mann-Whitney tests of ranks where runs did not reach the target. The share \
of +1 is among the values that binary layers read, mean over layers.

**Machine**: {_machine()}. Seconds are of one thread, on a machine that may have had other work. All runs: \
[table.csv](table.csv).
"""


def rows_of(study: Study) -> list[tuple[str, ...]]:
    """The cells of the report's table, by :data:`COLUMNS`, a row a setting."""
    target = target_of(study)
    return [_row(compared, target) for compared in study.compared]


def _row(compared: Compared, target: float) -> tuple[str, ...]:
    accuracy = mean_interval([trial.outcome.test_accuracy for trial in compared.trials])
    validation = statistics.fmean(trial.outcome.validation_accuracy for trial in compared.trials)
    epochs = " ".join("–" if (e := epochs_to(trial, target)) is None else str(e) for trial in compared.trials)
    seconds = " ".join("–" if (s := seconds_to(trial, target)) is None else f"{s:.1f}" for trial in compared.trials)
    shares = _present([trial.outcome.positive_share for trial in compared.trials])
    return (
        compared.setting.name,
        f"{compared.rate:.3g}",
        f"{accuracy.mean:.2%} ± {(accuracy.high - accuracy.mean) * 100:.2f}",
        f"{validation:.2%}",
        epochs,
        seconds,
        f"{statistics.fmean(shares):.3f}" if shares else "–",
    )


def _described(study: Study) -> str:
    recipe = study.base.recipe
    limit = f", its first {recipe.data.limit:,} training images" if recipe.data.limit else ""
    model = ", ".join(f"{key} {value}" for key, value in recipe.model.model_dump(mode="json").items())
    return f"{recipe.data.source}{limit}; {model}; batch {recipe.batch_size}, {study.base.epochs} epochs"


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"


def _bounds(interval: Interval | None) -> dict[str, float | None] | None:
    if interval is None:
        return None
    return {key: None if math.isnan(value) else value for key, value in asdict(interval).items()}


def _present(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
