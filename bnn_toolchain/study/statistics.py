"""Means with their intervals, and comparisons of two."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
ALL_ORDERS = math.comb(20, 10)


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its 95 % interval; the bounds are NaN where one value says nothing of spread."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of independent ``values`` and its interval by Student's t."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    half = _quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """mean(first) - mean(second) with the interval of Welch's t-test: it excludes 0 where that test has p < 0.05."""
    mean = statistics.fmean(first) - statistics.fmean(second)
    if min(len(first), len(second)) < 2:
        return Interval(mean, math.nan, math.nan)
    errors = [statistics.variance(values) / len(values) for values in (first, second)]
    if sum(errors) == 0:
        return Interval(mean, mean, mean)
    freedom = sum(errors) ** 2 / sum(e**2 / (len(v) - 1) for e, v in zip(errors, (first, second), strict=True))
    half = _quantile(freedom) * math.sqrt(sum(errors))
    return Interval(mean, mean - half, mean + half)


def rank_test(first: Sequence[float], second: Sequence[float]) -> tuple[bool, float]:
    """Whether ``first`` has the greater ranks, and p of the two-sided Mann-Whitney test; infinity is a value.

    Up to ten values each p counts all orders, which ties and small numbers need; beyond, it is the usual estimate.
    """
    few = math.comb(len(first) + len(second), len(first)) <= ALL_ORDERS
    method = stats.PermutationMethod(n_resamples=ALL_ORDERS) if few else "asymptotic"
    test = stats.mannwhitneyu(first, second, method=method)
    return bool(2 * test.statistic > len(first) * len(second)), float(test.pvalue)


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
