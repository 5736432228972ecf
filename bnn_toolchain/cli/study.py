"""`bnnt study`."""

from __future__ import annotations

import os
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table, progress_bar
from bnn_toolchain.errors import Unavailable
from bnn_toolchain.study.questions import Name


class Budget(StrEnum):
    """How much may be spent."""

    SMALL = "small"
    FULL = "full"


def study(
    question: Annotated[Name, typer.Argument(help="What to ask.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Ask it of this recipe; a small MLP or VGG if not given.")
    ] = None,
    budget: Annotated[
        Budget, typer.Option("--budget", help="small: some minutes on part of the images; full: the whole recipe.")
    ] = Budget.SMALL,
    seeds: Annotated[int, typer.Option("--seeds", min=3, help="Runs that are compared, each setting.")] = 3,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Runs at once; as many as cores if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The study's folder; studies/QUESTION if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask one of the questions of Alizadeh et al. 2019 again: a sweep for each setting, several seeds, a verdict.

    The folder gets report.md, table.csv, summary.json and figure.svg. Stopped, the same command goes on.

    Example: bnnt study second-moment --budget small
    """
    for package in ("matplotlib", "scipy"):
        if find_spec(package) is None:  # said before minutes are spent
            raise Unavailable(f"a study needs {package}: pip install 'bnnt[study]'")
    from bnn_toolchain.study.report import COLUMNS, rows_of, summary, write_report
    from bnn_toolchain.study.study import study as ask
    from bnn_toolchain.study.verdict import verdicts

    folder = out if out is not None else Path("studies") / question.value
    processes = jobs or os.cpu_count() or 1
    try:
        with progress_bar("runs") as progress:
            found = ask(
                question, folder, recipe=recipe, budget=budget.value, seeds=seeds, jobs=processes, progress=progress
            )
    except KeyboardInterrupt:
        note(f"finished runs are kept in {folder}: the same command goes on")
        raise
    named = f" --recipe {recipe}" if recipe is not None else ""
    write_report(found, folder, f"bnnt study {question.value}{named} --budget {budget.value} --seeds {seeds}")
    note(f"{folder}: report.md, table.csv, summary.json, figure.svg")
    if json:
        print_json(summary(found))
        return
    print_table(f"{question.value}: {found.question.asks}", COLUMNS, rows_of(found))
    for each in verdicts(found):
        print(each.words)
