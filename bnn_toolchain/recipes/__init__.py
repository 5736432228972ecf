"""The recipes that come with bnnt, as text: reading them needs nothing installed."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from importlib import resources

from bnn_toolchain.errors import UsageError


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with the package, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def recipe_text(name: str) -> str:
    """The YAML of a recipe that comes with the package; the comment at its head says what it does and costs.

    Raises:
        UsageError: there is no such recipe.
    """
    names = recipe_names()
    if name not in names:
        raise UsageError(f"no recipe '{name}'{near(name, names)}: give a YAML file or one of {', '.join(names)}")
    return (resources.files(__name__) / f"{name}.yaml").read_text()


def near(name: str, known: Collection[str]) -> str:
    """A guess at what ``name`` was to be, in words; empty without one."""
    close = get_close_matches(name, sorted(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
