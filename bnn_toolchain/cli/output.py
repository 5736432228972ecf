"""How commands speak: tables for people on stdout, or one JSON document; progress and notes on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnn_toolchain.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


def print_json(document: Any) -> None:
    """Print ``document`` as JSON on stdout."""
    print(json.dumps(document, indent=2))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Print a table on stdout; the first ``left`` columns are text, the others numbers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # A pipe or a log has no width of its own: a table cut to 80 columns there would lose its figures. Brackets are
    # part of what is said (pip install 'bnnt[demo]'), not of rich's markup.
    Console(width=None if Console().is_terminal else 160, markup=False, emoji=False, highlight=False).print(table)


def note(message: str) -> None:
    """Say something on stderr that is not the command's result."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def progress_bars(*works: str) -> Iterator[tuple[Progress, ...]]:
    """Bars on stderr, one for each kind of long work, from the moment that it is told how much is done, of how much."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks = [bars.add_task(work, total=None, visible=False) for work in works]

        def show(task: TaskID) -> Progress:
            return lambda done, total: bars.update(task, completed=done, total=total, visible=True)

        yield tuple(show(task) for task in tasks)
