"""Integer thresholds in LCE's form, both ways, without loss.

LCE's bitpacked convolution yields +1 where p <= limit, p being the number of weights that differ from the input:
the accumulator is K - 2p over K taps. Its LceQuantize yields +1 where a float is not below 0.

A flip becomes negated weights or a negated accumulator: acc < tau is -acc >= 1 - tau. Halving loses the parity of
tau, which decides nothing but belongs to the graph; ``odd`` keeps it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.ops import ACC_LIMIT, ALWAYS, Threshold

NEVER, EVER = np.iinfo(np.int32).min, np.iinfo(np.int32).max  # LCE's limits of constant channels
FAR = np.float32(2.0**31)  # more than any accumulator


def limits(threshold: Threshold, taps: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """LCE's limits (C,) for weights that are negated in flipped channels, and whether tau was odd against K."""
    tau = threshold.tau.astype(np.int64)
    doubled = taps - np.where(threshold.flip, 1 - tau, tau)
    limit, odd = doubled // 2, (doubled % 2).astype(np.bool_)
    always = threshold.tau == ALWAYS
    limit[always], odd[always] = np.where(threshold.flip, NEVER, EVER)[always], False
    return limit.astype(np.int32), odd


def from_limits(
    limit: NDArray[np.int32], odd: NDArray[np.bool_], flip: NDArray[np.bool_], taps: int
) -> NDArray[np.int32]:
    """The tau (C,) that :func:`limits` was given."""
    reached = taps - 2 * limit.astype(np.int64) - odd
    tau = np.where(flip, 1 - reached, reached)
    return _clipped(np.where((limit == NEVER) | (limit == EVER), ALWAYS, tau))


def offsets(threshold: Threshold) -> NDArray[np.float32]:
    """What to add to the accumulator, negated in flipped channels, so that its sign decides: float32 (C,)."""
    tau = threshold.tau.astype(np.int64)
    values = np.where(threshold.flip, tau - 1, -tau).astype(np.float32)
    return np.where(threshold.tau == ALWAYS, np.where(threshold.flip, -FAR, FAR), values).astype(np.float32)


def from_offsets(offset: NDArray[np.float32], flip: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The tau (C,) that :func:`offsets` was given; above 2²⁴ float32 may have rounded it."""
    values = np.nan_to_num(offset.astype(np.float64), nan=0).clip(-(2.0**31), 2.0**31).astype(np.int64)
    tau = np.where(flip, values + 1, -values)
    return _clipped(np.where(np.abs(offset) == FAR, ALWAYS, tau))


def folds(threshold: Threshold, bound: int) -> bool:
    """Whether accumulator and offset can be summed in float32 in any order without rounding."""
    decided = threshold.tau.astype(np.int64)[threshold.tau != ALWAYS]
    return bool(np.all(np.abs(decided) + 1 + bound < ACC_LIMIT))


def _clipped(tau: NDArray[np.int64]) -> NDArray[np.int32]:
    return tau.clip(ALWAYS, EVER).astype(np.int32)
