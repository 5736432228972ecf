"""A study: a learning-rate sweep for each setting, then several seeds at its best rate."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bnn_toolchain.data.load import load_splits
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.progress import Progress, uncounted
from bnn_toolchain.study.outcome import Outcome, outcome_file, read_outcome
from bnn_toolchain.study.questions import Budget, Question, QuestionName, Setting, question_of
from bnn_toolchain.study.recipes import Base, base_of, float_recipe_of, key_of, recipe_of
from bnn_toolchain.study.workers import Job, Workers, workers
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.metrics import Epoch, read_epochs
from bnn_toolchain.training.run_folder import RunFolder

SWEEP_SEED = 0
EXTENSIONS = 6
"""How often a sweep whose best rate is its lowest or highest goes on in that direction."""
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Trial:
    """A finished run: of the ``sweep``, of the ``seeds`` that are compared, or of the ``float`` network."""

    role: Literal["sweep", "seed", "float"]
    setting: str
    rate: float
    seed: int
    key: str
    outcome: Outcome
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True)
class Compared:
    """A setting with its sweep, by rising rate, the rate that was best on validation images, and the runs at it."""

    setting: Setting
    sweep: tuple[Trial, ...]
    rate: float
    trials: tuple[Trial, ...]

    @property
    def at_edge(self) -> bool:
        """Whether a rate beyond those tried might be better still."""
        return self.rate in (self.sweep[0].rate, self.sweep[-1].rate)


@dataclass(frozen=True)
class Study:
    """What a question came to; ``float_trial`` is the float network's run if the question needs one."""

    question: Question
    base: Base
    compared: tuple[Compared, ...]
    float_trial: Trial | None

    @property
    def trials(self) -> Iterator[Trial]:
        """All runs."""
        if self.float_trial is not None:
            yield self.float_trial
        for compared in self.compared:
            yield from (*compared.sweep, *compared.trials)


@dataclass(frozen=True)
class _Plan:
    """A run that is wanted."""

    role: Literal["sweep", "seed", "float"]
    setting: str
    rate: float
    seed: int
    key: str
    recipe: Recipe

    @property
    def title(self) -> str:
        return f"{self.key} ({self.setting}, learning rate {self.rate:.3g}, seed {self.seed})"


def study(
    name: QuestionName,
    out: Path,
    *,
    recipe: str | None = None,
    budget: Budget = Budget.SMALL,
    seeds: int = FEWEST_SEEDS,
    jobs: int = 1,
    progress: Progress = uncounted,
) -> Study:
    """Ask a question; runs that ``out`` holds, whole or in part, are not repeated.

    The sweep has one seed, and the ``seeds`` runs that are compared have others, so that a rate chosen for its luck
    gains nothing. ``jobs`` runs go on at once, in processes of one thread.

    Raises:
        UsageError: the recipe is wrong or has no test images, or another study is at work in ``out``.
        CheckFailed: a run's process died; or a setting diverged at every rate.
        OSError: the disk is full.
    """
    if seeds < FEWEST_SEEDS:
        raise UsageError(f"{seeds} seeds say nothing of the spread: give at least {FEWEST_SEEDS}")
    question, base = question_of(name), base_of(question_of(name).network, recipe, budget)
    load_splits(base.recipe.data)  # whatever is wrong with the images is said here, before processes start
    with _alone(out), workers(jobs) as pool:
        counter = _Counter(progress, sum(len(s.rates) + seeds for s in question.settings))
        runs = _Runs(out / "runs", pool, counter)
        float_trial = None
        if any(setting.from_float for setting in question.settings):
            float_recipe = float_recipe_of(base)
            counter.total += 1
            plan = _Plan(
                "float",
                "float",
                float_recipe.stages[0].optimizer.lr,
                float_recipe.seed,
                key_of(float_recipe),
                float_recipe,
            )
            (float_trial,) = runs.of([plan])
        sweeps = _sweeps(question, base, runs, float_trial)
        best = [_best_rate(sweep) for sweep in sweeps]
        plans = [
            runs.plan(base, setting, "seed", rate, seed, float_trial)
            for setting, rate in zip(question.settings, best, strict=True)
            for seed in range(SWEEP_SEED + 1, SWEEP_SEED + 1 + seeds)
        ]
        trials = runs.of(plans)
    compared = tuple(
        Compared(setting, tuple(sweep), rate, tuple(trials[number * seeds : (number + 1) * seeds]))
        for number, (setting, sweep, rate) in enumerate(zip(question.settings, sweeps, best, strict=True))
    )
    return Study(question, base, compared, float_trial)


@dataclass
class _Counter:
    progress: Progress
    total: int
    done: int = 0

    def add(self, runs: int) -> None:
        self.done += runs
        self.progress(self.done, self.total)


@dataclass(frozen=True)
class _Runs:
    """The folder that the runs are in, and how they get there."""

    folder: Path
    workers: Workers
    counter: _Counter

    def plan(
        self,
        base: Base,
        setting: Setting,
        role: Literal["sweep", "seed"],
        rate: float,
        seed: int,
        start: Trial | None,
    ) -> _Plan:
        recipe = recipe_of(base, setting, rate, seed)
        if not setting.from_float:
            return _Plan(role, setting.name, rate, seed, key_of(recipe), recipe)
        assert start is not None
        # the name of a run must not depend on where the study's folder is
        key = key_of(recipe.model_copy(update={"init_from": Path(start.key)}))
        from_float = recipe.model_copy(update={"init_from": (self.folder / start.key).absolute()})
        return _Plan(role, setting.name, rate, seed, key, from_float)

    def of(self, plans: Sequence[_Plan]) -> list[Trial]:
        """The finished runs of ``plans``, in their order; those that are missing are done."""
        missing = [plan for plan in plans if not outcome_file(self.folder / plan.key).exists()]
        self.counter.add(len(plans) - len(missing))
        jobs = {plan.key: Job(plan.title, plan.recipe, self.folder / plan.key) for plan in missing}
        self.workers.perform(list(jobs.values()), lambda _job: self.counter.add(1))
        return [self._trial(plan) for plan in plans]

    def _trial(self, plan: _Plan) -> Trial:
        folder = RunFolder(self.folder / plan.key)
        epochs = tuple(read_epochs(folder.metrics))
        return Trial(plan.role, plan.setting, plan.rate, plan.seed, plan.key, read_outcome(folder.path), epochs)


def _sweeps(question: Question, base: Base, runs: _Runs, start: Trial | None) -> list[list[Trial]]:
    """For each setting the runs of its sweep, by rising rate."""

    def run(wanted: Iterable[tuple[int, float]]) -> None:
        pairs = list(wanted)
        settings = [question.settings[index] for index, _ in pairs]
        plans = [
            runs.plan(base, setting, "sweep", rate, SWEEP_SEED, start)
            for setting, (_, rate) in zip(settings, pairs, strict=True)
        ]
        for (index, _), trial in zip(pairs, runs.of(plans), strict=True):
            sweeps[index].append(trial)
            sweeps[index].sort(key=lambda each: each.rate)

    sweeps: list[list[Trial]] = [[] for _ in question.settings]
    run((index, rate) for index, setting in enumerate(question.settings) for rate in setting.rates)
    for _ in range(EXTENSIONS):
        further = [(index, rate) for index, sweep in enumerate(sweeps) if (rate := _next_rate(sweep)) is not None]
        runs.counter.total += len(further)
        run(further)
    return sweeps


def _next_rate(sweep: list[Trial]) -> float | None:
    """The rate beyond the edge that the best of the sweep lies at, one step of the sweep further."""
    rates, best = [trial.rate for trial in sweep], _best_rate(sweep)
    if best == rates[-1]:
        return float(f"{rates[-1] * rates[-1] / rates[-2]:.2g}")
    if best == rates[0]:
        return float(f"{rates[0] * rates[0] / rates[1]:.2g}")
    return None


def _best_rate(sweep: list[Trial]) -> float:
    """The rate with the highest validation accuracy; the lowest of those."""
    best = max(sweep, key=lambda trial: trial.outcome.validation_accuracy)
    if best.outcome.diverged:
        raise CheckFailed(f"'{best.setting}' diverged at every learning rate: {best.outcome.diverged}")
    return best.rate


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Nobody else studies in ``out`` meanwhile."""
    try:
        (out / "runs").mkdir(parents=True, exist_ok=True)
        lock = (out / "runs" / ".lock").open("w")
    except OSError as error:
        raise UsageError(f"cannot use {out} as the folder of a study: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another study is at work in {out}: wait for it, or give another --out") from error
        yield
