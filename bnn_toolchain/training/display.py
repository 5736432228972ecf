"""How a run shows itself: a progress bar on a terminal, else a line an epoch; both on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bnn_toolchain.training.metrics import Epoch


@dataclass
class Watch:
    """Where a run reports to."""

    console: Console
    epochs: int | None
    bar: Progress | None = None

    def batch(self) -> None:
        """A batch is done."""
        if self.bar is not None:
            self.bar.advance(self.bar.task_ids[0])

    def epoch(self, done: Epoch) -> None:
        """An epoch is done."""
        length = "" if self.epochs is None else f"/{self.epochs}"
        self.say(
            f"epoch {done.epoch:>3}{length}  loss {done.loss:.4f}  accuracy {done.accuracy:.2%}  "
            f"validation {done.validation_accuracy:.2%}  flips {done.flip_ratio:.2%}  lr {done.learning_rate:.1e}  "
            f"{done.seconds:.1f} s"
        )

    def say(self, message: str) -> None:
        """One line."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watching(epochs: int | None, batches: int, done: int) -> Iterator[Watch]:
    """Shows a run of ``epochs`` epochs, if that is known, with ``batches`` batches each; ``done`` are behind it."""
    console = Console(stderr=True)
    watch = Watch(console, epochs)
    if not console.is_terminal:
        yield watch
        return
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("batches"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        watch.bar = bar
        bar.add_task("training", total=None if epochs is None else epochs * batches, completed=done * batches)
        yield watch
