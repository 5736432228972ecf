"""What a study says about the paper's claims."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from bnn_toolchain.study.questions import Expectation, Measure
from bnn_toolchain.study.statistics import CONFIDENCE, Interval, difference, rank_test
from bnn_toolchain.study.study import Compared, Study, Trial

TARGET = 0.97
"""The target that times are taken to, as a part of the best setting's mean validation accuracy."""


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation came true; the difference of means, or None where a run has no such measure."""

    expectation: Expectation
    outcome: Literal["agrees", "disagrees", "undecided"]
    difference: Interval | None
    words: str


def target_of(study: Study) -> float:
    """The validation accuracy that times are taken to, 0 to 1, rounded to a thousandth."""
    means = [statistics.fmean(t.outcome.validation_accuracy for t in compared.trials) for compared in study.compared]
    return round(TARGET * max(means), 3)


def epochs_to(trial: Trial, target: float) -> int | None:
    """The first epoch whose validation accuracy reaches ``target``; None if none does."""
    return next((epoch.epoch for epoch in trial.epochs if epoch.validation_accuracy >= target), None)


def seconds_to(trial: Trial, target: float) -> float | None:
    """The time until the end of that epoch, on a machine that may have had other work."""
    last = epochs_to(trial, target)
    return None if last is None else sum(epoch.seconds for epoch in trial.epochs if epoch.epoch <= last)


def verdicts(study: Study) -> list[Verdict]:
    """One for each expectation of the question; a few planned comparisons, so no correction.

    Means are compared by Welch's t-test. Epochs to a target that some runs did not reach have no mean: those runs count
    as later than all others, and the Mann-Whitney test compares ranks. With three runs a setting it never decides.
    """
    by_name = {compared.setting.name: compared for compared in study.compared}
    target = target_of(study)
    return [
        _verdict(expectation, by_name[expectation.higher], by_name[expectation.lower], target)
        for expectation in study.question.expectations
    ]


def measured(trial: Trial, measure: Measure, target: float) -> float | None:
    """A run's measure; a run that diverged has accuracy 0 and no other."""
    match measure:
        case Measure.ACCURACY:
            return trial.outcome.test_accuracy
        case Measure.EPOCHS:
            return epochs_to(trial, target)
        case Measure.POSITIVE_SHARE:
            return trial.outcome.positive_share


@dataclass(frozen=True)
class _Comparison:
    """Which of two settings has the greater values, if that is certain, and how it shows in words."""

    greater: Compared | None
    words: str
    difference: Interval | None = None


def _verdict(expectation: Expectation, higher: Compared, lower: Compared, target: float) -> Verdict:
    measure = expectation.measure
    pair = f"{measure}: '{expectation.higher}' above '{expectation.lower}'"
    comparison = _compared(higher, lower, measure, target)
    if comparison.greater is None:
        return Verdict(expectation, "undecided", comparison.difference, f"{pair}: no verdict, {comparison.words}")
    smaller = lower if comparison.greater is higher else higher
    worse = comparison.greater if measure is Measure.EPOCHS else smaller
    if worse.at_edge and measure is not Measure.POSITIVE_SHARE:
        reason = f"'{worse.setting.name}' may do better beyond the rates of its sweep"
        return Verdict(
            expectation, "undecided", comparison.difference, f"{pair}: no verdict, {reason}: {comparison.words}"
        )
    outcome: Literal["agrees", "disagrees"] = "agrees" if comparison.greater is higher else "disagrees"
    return Verdict(expectation, outcome, comparison.difference, f"{pair}: {outcome}, {comparison.words}")


def _compared(higher: Compared, lower: Compared, measure: Measure, target: float) -> _Comparison:
    values = [[measured(trial, measure, target) for trial in compared.trials] for compared in (higher, lower)]
    first, second = ([value for value in side if value is not None] for side in values)
    if (len(first), len(second)) == (len(higher.trials), len(lower.trials)):
        interval = difference(first, second)
        shown = _shown(interval, measure)
        if interval.low <= 0 <= interval.high or math.isnan(interval.low):
            return _Comparison(None, f"the interval includes 0: {shown}", interval)
        return _Comparison(higher if interval.low > 0 else lower, f"the difference is {shown}", interval)
    if measure is not Measure.EPOCHS:
        return _Comparison(None, "some runs have no such value")
    later, p = rank_test(*([math.inf if value is None else value for value in side] for side in values))
    words = (
        f"{len(first)} of {len(higher.trials)} runs against {len(second)} of {len(lower.trials)} reached the target, "
        f"p = {p:.2g} by ranks"
    )
    if not p < 1 - CONFIDENCE:
        return _Comparison(None, words)
    return _Comparison(higher if later else lower, words)


def _shown(interval: Interval, measure: Measure) -> str:
    unit, scale = (" epochs", 1.0) if measure is Measure.EPOCHS else (" points", 100.0)
    mean, low, high = (value * scale for value in (interval.mean, interval.low, interval.high))
    if math.isnan(low):
        return f"{mean:+.2f}{unit}"
    same = ", all runs of a setting being alike" if low == high else ""
    return f"{mean:+.2f}{unit} ({low:+.2f} to {high:+.2f}{same})"
