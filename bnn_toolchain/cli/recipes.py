"""`bnnt recipes`."""

from __future__ import annotations

from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, print_json, print_table


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe as YAML, to copy and change.")] = None,
    json: Json = False,
) -> None:
    """The recipes that come with bnnt.

    Examples: bnnt recipes; bnnt recipes digits > mine.yaml
    """
    from bnn_toolchain.recipes import recipe_names, recipe_text

    if name is not None:
        print(recipe_text(name), end="")
        return
    heads = {recipe: _head(recipe_text(recipe)) for recipe in recipe_names()}
    if json:
        print_json(heads)
    else:
        print_table("bnnt recipes", ("recipe", "what"), heads.items(), left=2)


def _head(text: str) -> str:
    """The comment that a recipe starts with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines)
