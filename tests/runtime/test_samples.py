"""Verdicts on simulated times: what the machine does is not taken for the program, and a slower program is found."""

import numpy as np
import pytest

from bnn_toolchain.runtime.checks.samples import MARGIN, Series, median_interval, ratio_of

SEED = 20261126
ROUNDS = 25


def series(rng, seconds, *, speed=1.0, noise=0.01, neighbour=0.0):
    """A run: the machine's speed drifts, and in some rounds a neighbour makes everything slower, not all alike."""
    drift = speed * np.exp(np.cumsum(rng.normal(0, 0.004, ROUNDS)))
    busy = rng.random(ROUNDS) < neighbour
    times = seconds * drift * np.exp(np.abs(rng.normal(0, noise, ROUNDS))) * np.where(busy, 1.5, 1.0)
    yardstick = 1e-6 * drift * np.exp(np.abs(rng.normal(0, noise, ROUNDS))) * np.where(busy, 1.3, 1.0)
    return Series(times, yardstick)


@pytest.mark.parametrize(
    "machine", [{}, {"noise": 0.05}, {"neighbour": 0.3}, {"noise": 0.03, "neighbour": 0.5}], ids=str
)
def test_the_same_program_twice_is_not_told_apart(machine):
    """At most one wrong verdict in 20, though the second run is on a machine whose clock is another one."""
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    wrong = 0
    for _ in range(20):
        first = series(rng, 30e-6, **machine)
        second = series(rng, 30e-6, speed=rng.uniform(0.7, 1.4), **machine)
        wrong += ratio_of(first, second).verdict != "not distinguishable"
    assert wrong <= 1


def test_a_slower_and_a_faster_program_are_found():
    rng = np.random.default_rng(SEED)
    for _ in range(20):
        first, second = series(rng, 30e-6), series(rng, 36e-6, speed=rng.uniform(0.95, 1.0))
        slower, faster = ratio_of(first, second), ratio_of(second, first)
        assert (slower.verdict, faster.verdict) == ("slower", "faster")
        assert slower.value == pytest.approx(1.2, rel=0.1) and slower.interval.low < slower.value < slower.interval.high


def test_a_difference_below_the_margin_is_none():
    first = Series(np.full(ROUNDS, 1.0), np.full(ROUNDS, 1.0))
    for factor, verdict in (
        (1.04, "not distinguishable"),
        (1.06, "slower"),
        (0.96, "not distinguishable"),
        (0.94, "faster"),
    ):
        ratio = ratio_of(first, Series(np.full(ROUNDS, factor), np.full(ROUNDS, 1.0)))
        assert (ratio.verdict, ratio.margin) == (verdict, MARGIN)


def test_machines_that_lie_apart_want_a_larger_difference():
    first = Series(np.full(ROUNDS, 1.0), np.full(ROUNDS, 1.0))
    ratio = ratio_of(first, Series(np.full(ROUNDS, 1.8), np.full(ROUNDS, 1.5)))
    assert ratio.value == pytest.approx(1.2) and ratio.margin == pytest.approx(0.5)
    assert ratio.verdict == "not distinguishable"


def test_an_interval_holds_the_median_of_most_repetitions():
    rng = np.random.default_rng(SEED)
    inside = 0
    for _ in range(200):
        interval = median_interval(rng.lognormal(0, 0.2, ROUNDS))
        inside += interval.low <= 1 <= interval.high
    assert inside >= 176


def test_nothing_is_not_compared():
    with pytest.raises(ValueError, match="no rounds"):
        median_interval([])
    with pytest.raises(ValueError, match="0 rounds and 0 of the yardstick"):
        Series(np.empty(0), np.empty(0))
    with pytest.raises(ValueError, match="2 rounds and 1 of the yardstick"):
        Series(np.ones(2), np.ones(1))
