"""`bnnt study`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table, progress_bars
from bnn_toolchain.study.questions import Budget, QuestionName


def study(
    question: Annotated[QuestionName, typer.Argument(help="What to ask.")],
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
    from bnn_toolchain.api import ask_question

    folder = out if out is not None else Path("studies") / question.value
    try:
        with progress_bars("runs") as (progress,):
            answer = ask_question(
                question,
                folder,
                recipe=recipe,
                budget=budget,
                seeds=seeds,
                jobs=jobs or os.cpu_count() or 1,
                progress=progress,
            )
    except KeyboardInterrupt:
        note(f"finished runs are kept in {folder}: the same command goes on")
        raise
    from bnn_toolchain.study.report import COLUMNS, rows_of, summary
    from bnn_toolchain.study.verdict import verdicts

    note(f"{folder}: report.md, table.csv, summary.json, figure.svg")
    if json:
        print_json(summary(answer))
        return
    print_table(f"{question.value}: {answer.question.asks}", COLUMNS, rows_of(answer))
    for verdict in verdicts(answer):
        print(verdict.words)
