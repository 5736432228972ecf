"""What a benchmark found, as one JSON document that later ones are compared with.

``format`` is 1. Times are seconds of one image. A reader refuses fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import numpy as np
import pydantic

from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.files import SMALL_FILE, Strict, parse, read_bounded
from bnn_toolchain.runtime.checks.samples import Ratio, Series, ratio_of

Seconds = Annotated[float, pydantic.Field(gt=0, lt=1e6)]
Word = Annotated[str, pydantic.Field(max_length=500)]


class Spread(Strict):
    """The times of one image over all runs of all rounds."""

    min: Seconds
    median: Seconds  # of the rounds' medians
    low: Seconds  # the 95 % bootstrap interval of that median
    high: Seconds
    p90: Seconds
    p99: Seconds


class Timing(Strict):
    """One engine on one file."""

    engine: Word
    network: Word  # "binary", "float" or "int8"
    version: Word  # of the engine; native adds its kernel set
    cores: Word  # the kind of core that it was pinned to; "" if it was not
    file_bytes: int
    cpu: Spread | None  # None where the engine does not tell its CPU time
    wall: Spread
    times_faster: float | None  # the float network's time divided by this one's, in the same round; the median
    runs: int  # that were timed, warm-up aside
    load: Seconds | None  # to read and to open the model
    peak_bytes: int | None  # memory of its process, at most
    cpu_low: tuple[Seconds, ...]  # each round's tenth percentile, which what else runs on the machine disturbs little
    wall_low: tuple[Seconds, ...]


class State(Strict):
    """What the machine was doing."""

    load: float | None  # average of the last minute
    governors: tuple[Word, ...]
    gigahertz: tuple[float, ...]  # of each core
    celsius: float | None
    throttled: Word  # "" if nothing says so


class Machine(Strict):
    """Where it was measured."""

    name: Word
    device: Word  # as --on names it
    cpu: Word  # the kinds of cores, each with its number
    system: Word
    emulated: bool  # its times say nothing about the CPU that it emulates
    before: State
    after: State


class ProfiledNode(Strict):
    """The least time of one node."""

    name: Word
    op: Word
    kernel: Word
    seconds: float
    macs: int  # multiply-accumulates of one image
    macs_per_cycle: float | None  # None on an emulator
    share_of_peak: float | None  # of what the CPU's instructions do on registers alone; None where it is not known
    moved: int = 0  # bytes that one image reads and writes: parameters, inputs and output


class Benchmark(Strict):
    """All engines, interleaved."""

    format: Literal[1] = 1
    bnnt: Word
    model: Word
    machine: Machine
    threads: int
    batch: int
    rounds: int
    yardstick: tuple[Seconds, ...]  # what a fixed piece of work took in each round: how fast the machine was
    timings: tuple[Timing, ...]
    missing: tuple[Word, ...]  # engines that were not measured, or failed while they were, each with the reason
    warnings: tuple[Word, ...]  # why the times may be wrong
    joules: float | None  # that the whole CPU took for one image on the native engine; None without a meter
    profile: tuple[ProfiledNode, ...]  # of the native engine

    @pydantic.field_validator("joules")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not isfinite(value):
            raise ValueError("it is no number")
        return value


def read_benchmark(path: Path) -> Benchmark:
    """What ``bnnt bench --json`` wrote.

    Raises:
        UsageError: the file cannot be read.
        FileFormatError: it is something else; the message names the first wrong field.
    """
    try:
        return parse(Benchmark, read_bounded(path, SMALL_FILE))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise FileFormatError(f"{path} is no benchmark (of bnnt bench --json): {error}") from error


@dataclass(frozen=True)
class Comparison:
    """One engine and network in two benchmarks."""

    engine: str
    network: str
    cores: str
    clock: str  # "CPU" or "wall"
    first: float  # seconds: the median of the rounds' tenth percentiles
    second: float
    ratio: Ratio


def compare(first: Benchmark, second: Benchmark) -> list[Comparison]:
    """What both measured: the tenth percentiles of their rounds, of the CPU's time where both have it.

    Raises:
        UsageError: they have nothing in common, or one has no rounds.
    """
    rows = []
    others = {(t.engine, t.network, t.cores): t for t in second.timings}
    for ours in first.timings:
        theirs = others.get((ours.engine, ours.network, ours.cores))
        if theirs is None:
            continue
        by_cpu = bool(ours.cpu_low and theirs.cpu_low)
        a, b = (t.cpu_low if by_cpu else t.wall_low for t in (ours, theirs))
        rows.append(
            Comparison(
                engine=ours.engine,
                network=ours.network,
                cores=ours.cores,
                clock="CPU" if by_cpu else "wall",
                first=median(a),
                second=median(b),
                ratio=ratio_of(_series(a, first), _series(b, second)),
            )
        )
    if not rows:
        raise UsageError("the two benchmarks have no engine and network in common")
    return rows


def _series(times: Sequence[float], benchmark: Benchmark) -> Series:
    try:
        return Series(np.array(times), np.array(benchmark.yardstick))
    except ValueError as error:
        raise UsageError(f"the benchmark of {benchmark.model} cannot be compared: it has {error}") from error
