"""Runs in parallel processes, one thread each."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

from bnn_toolchain.errors import BnntError, CheckFailed
from bnn_toolchain.training.config import Recipe


@dataclass(frozen=True)
class Job:
    """A run to do: what it is in words, its recipe and its folder."""

    title: str
    recipe: Recipe
    folder: Path

    @property
    def log(self) -> Path:
        """What the run says."""
        return self.folder.with_suffix(".log")


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: Job | None = None

    def begin(self, job: Job) -> None:
        self.job = job
        self.connection.send(job)


@contextmanager
def workers(processes: int) -> Iterator[Workers]:
    """At most so many processes, started when they are first needed; they end with the context."""
    pool = Workers(processes, [])
    try:
        yield pool
    finally:
        for worker in pool.started:
            worker.process.terminate()
            worker.process.join()


@dataclass(frozen=True)
class Workers:
    """Processes that do runs."""

    most: int
    started: list[_Worker]

    def perform(self, jobs: Sequence[Job], done: Callable[[Job], None]) -> None:
        """Do ``jobs``; ``done`` is told each that ends.

        Whatever ends this early, finished runs stay finished and the others can go on later.

        Raises:
            CheckFailed: a process died; the message names the run.
            BnntError, OSError: what a run raised.
        """
        waiting = deque(jobs)
        while len(self.started) < min(self.most, len(jobs)):
            self.started.append(_start())
        for worker, _ in zip(self.started, jobs, strict=False):
            worker.begin(waiting.popleft())
        while busy := {worker.connection: worker for worker in self.started if worker.job is not None}:
            for ready in wait(list(busy)):
                worker = busy[cast(Connection, ready)]
                job, worker.job = worker.job, None
                assert job is not None
                error = _answer(worker, job)
                if error is not None:
                    raise error
                done(job)
                if waiting:
                    worker.begin(waiting.popleft())


def _start() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that reading from ours ends when the process does
    return _Worker(process, ours)


def _answer(worker: _Worker, job: Job) -> BnntError | OSError | None:
    try:
        answer: BnntError | OSError | None = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        return CheckFailed(f"the run {job.title} {_death(worker, job)}; finished runs stay, the same command goes on")
    return answer


def _death(worker: _Worker, job: Job) -> str:
    code = worker.process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        memory = ", which the system does when memory runs out: try fewer --jobs" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"
    return f"ended its process with code {code}: {job.log} says why"


def _work(connection: Connection) -> None:
    """The life of a worker: a job, an answer, the next, until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    from bnn_toolchain.data.load import load_splits
    from bnn_toolchain.study.outcome import perform

    torch.set_num_threads(1)
    read = functools.lru_cache(maxsize=1)(load_splits)
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        try:
            _redirect(job.log)
            perform(job.recipe, read(job.recipe.data), job.folder)
        except (BnntError, OSError) as error:
            if isinstance(error, OSError) and error.filename is None:  # what it prints goes to a file as well
                error.filename = str(job.folder)
            connection.send(error)
        else:
            connection.send(None)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _redirect(log: Path) -> None:
    """From now on what this process prints goes to ``log``."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
