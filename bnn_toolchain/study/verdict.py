"""What a study says about the paper's claims."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from bnn_toolchain.study.questions import Expectation, Measure
from bnn_toolchain.study.statistics import Interval, difference
from bnn_toolchain.study.study import Compared, Study, Trial

TARGET = 0.97
"""The target that times are taken to, as a part of the best setting's mean validation accuracy."""


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation came true: its difference of means, or None where a run has no such measure."""

    expectation: Expectation
    outcome: Literal["agrees", "disagrees", "undecided"]
    difference: Interval | None
    words: str


def target_of(study: Study) -> float:
    """The validation accuracy that times are taken to, 0 to 1, rounded to a thousandth."""
    means = [statistics.fmean(t.outcome.validation_accuracy for t in each.trials) for each in study.compared]
    return round(TARGET * max(means), 3)


def epochs_to(trial: Trial, target: float) -> int | None:
    """The first epoch whose validation accuracy reaches ``target``; None if none does."""
    return next((epoch.epoch for epoch in trial.epochs if epoch.validation_accuracy >= target), None)


def seconds_to(trial: Trial, target: float) -> float | None:
    """The time until the end of that epoch, on a machine that may have had other work."""
    last = epochs_to(trial, target)
    return None if last is None else sum(epoch.seconds for epoch in trial.epochs if epoch.epoch <= last)


def verdicts(study: Study) -> list[Verdict]:
    """One for each expectation of the question, by Welch's t-test; a few planned comparisons, so no correction."""
    by_name = {each.setting.name: each for each in study.compared}
    target = target_of(study)
    return [_verdict(each, by_name[each.higher], by_name[each.lower], target) for each in study.question.expectations]


def measured(trial: Trial, measure: Measure, target: float) -> float | None:
    """A run's measure; a run that diverged has accuracy 0 and no other."""
    match measure:
        case Measure.ACCURACY:
            return trial.outcome.test_accuracy
        case Measure.EPOCHS:
            return epochs_to(trial, target)
        case Measure.POSITIVE_SHARE:
            return trial.outcome.positive_share


def _verdict(expectation: Expectation, higher: Compared, lower: Compared, target: float) -> Verdict:
    pair = f"{expectation.measure}: '{expectation.higher}' above '{expectation.lower}'"
    first, second = (_all(each, expectation.measure, target) for each in (higher, lower))
    if first is None or second is None:
        short = " and ".join(f"'{e.setting.name}'" for e, v in ((higher, first), (lower, second)) if v is None)
        return Verdict(expectation, "undecided", None, f"{pair}: no verdict, some runs of {short} have no such value")
    found = difference(first, second)
    shown = _shown(found, expectation.measure)
    if found.low <= 0 <= found.high or math.isnan(found.low):
        return Verdict(expectation, "undecided", found, f"{pair}: no verdict, the interval includes 0: {shown}")
    greater, smaller = (higher, lower) if found.low > 0 else (lower, higher)
    worse = greater if expectation.measure is Measure.EPOCHS else smaller
    if worse.at_edge and expectation.measure is not Measure.POSITIVE_SHARE:
        reason = f"'{worse.setting.name}' may do better beyond the rates of its sweep"
        return Verdict(expectation, "undecided", found, f"{pair}: no verdict, {reason}: {shown}")
    outcome: Literal["agrees", "disagrees"] = "agrees" if found.low > 0 else "disagrees"
    return Verdict(expectation, outcome, found, f"{pair}: {outcome}, the difference is {shown}")


def _all(compared: Compared, measure: Measure, target: float) -> list[float] | None:
    values = [measured(trial, measure, target) for trial in compared.trials]
    return None if None in values else [value for value in values if value is not None]


def _shown(interval: Interval, measure: Measure) -> str:
    unit, scale = (" epochs", 1.0) if measure is Measure.EPOCHS else (" points", 100.0)
    mean, low, high = (value * scale for value in (interval.mean, interval.low, interval.high))
    if math.isnan(low):
        return f"{mean:+.2f}{unit}"
    same = ", all runs of a setting being alike" if low == high else ""
    return f"{mean:+.2f}{unit} ({low:+.2f} to {high:+.2f}{same})"
