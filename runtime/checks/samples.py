"""What samples of a time say: their spread, how sure their median is, and whether two differ.

Samples come in rounds, in which all that is compared took turns. The bootstrap draws rounds, because samples of one
round share what the machine did meanwhile, and some in a row, because what a machine does lasts (the circular block
bootstrap of Politis and Romano 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
BLOCK = 5  # rounds in a row
CONFIDENCE = 95  # per cent
SEED = 0
MARGIN = 0.05  # even on a steady machine a program's memory may lie better or worse from one run to the next

Verdict = Literal["faster", "slower", "not distinguishable"]


@dataclass(frozen=True)
class Interval:
    """A 95 % bootstrap interval."""

    low: float
    high: float


def median_interval(rounds: Sequence[float]) -> Interval:
    """Of the median of ``rounds``, each of which is a round's median.

    Raises:
        ValueError: there are none.
    """
    values = np.asarray(rounds, np.float64)
    if not values.size:
        raise ValueError("there are no rounds")
    return _interval(np.median(_drawn(values, np.random.default_rng(SEED)), axis=1))


@dataclass(frozen=True)
class Ratio:
    """How many times as long the second of two runs takes as the first."""

    value: float
    interval: Interval
    margin: float  # a difference below this share may be the machine's
    verdict: Verdict  # of the second


def ratio_of(first: Series, second: Series) -> Ratio:
    """Compare two runs that were made at different times.

    Times are taken in units of a yardstick, a fixed piece of work that was timed in the same rounds, so that a machine
    whose clock was slower all the while does not count. What a yardstick does not feel in the same measure, such as
    a neighbour that empties the caches, shows in how far rounds, or the yardsticks of the two runs, lie apart: a
    difference below that is not told from it.
    """
    rng = np.random.default_rng(SEED)
    a, b = (series.in_yardsticks for series in (first, second))
    drawn = np.median(_drawn(b, rng), axis=1) / np.median(_drawn(a, rng), axis=1)
    interval = _interval(drawn)
    units = (float(np.median(series.yardstick)) for series in (first, second))
    margin = max(MARGIN, _spread(a), _spread(b), _apart(*units))
    if interval.low > 1 + margin:
        verdict: Verdict = "slower"
    elif interval.high < 1 / (1 + margin):
        verdict = "faster"
    else:
        verdict = "not distinguishable"
    return Ratio(float(np.median(b) / np.median(a)), interval, margin, verdict)


@dataclass(frozen=True, eq=False)
class Series:
    """A time in each round, and what the yardstick took in it.

    Raises:
        ValueError: there are no rounds, or not as many of one as of the other.
    """

    times: NDArray[np.float64]
    yardstick: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not self.times.size or self.times.shape != self.yardstick.shape:
            raise ValueError(f"{self.times.size} rounds and {self.yardstick.size} of the yardstick")

    @property
    def in_yardsticks(self) -> NDArray[np.float64]:
        """The times in units of the yardstick."""
        return self.times / self.yardstick


def _spread(values: NDArray[np.float64]) -> float:
    """Half of what the middle 80 % span, as a share of the median."""
    low, middle, high = np.percentile(values, [10, 50, 90])
    return float(high - low) / 2 / float(middle)


def _apart(a: float, b: float) -> float:
    return max(a, b) / min(a, b) - 1


def _drawn(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    starts = rng.integers(0, len(values), (DRAWS, -(-len(values) // BLOCK), 1))
    rounds = (starts + np.arange(BLOCK)).reshape(DRAWS, -1) % len(values)
    drawn: NDArray[np.float64] = values[rounds[:, : len(values)]]
    return drawn


def _interval(drawn: NDArray[np.float64]) -> Interval:
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(float(low), float(high))
