"""How long work says how it goes: a line of words, or a count."""

from __future__ import annotations

from collections.abc import Callable

Announce = Callable[[str], None]
"""Told in one line what takes its time, or is done otherwise than one might expect."""

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""


def silent(message: str) -> None:
    """Announce nothing."""


def uncounted(done: int, total: int) -> None:
    """Show no progress."""
