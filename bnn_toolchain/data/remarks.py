"""What there is to say about many files: a line a kind, not a line a file."""

from __future__ import annotations


class Remarks:
    """Counts files by what is remarkable about them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}  # how many, and the first

    def add(self, kind: str, name: str) -> None:
        """The file ``name`` is one of ``kind``, a noun in the plural with what was done about it."""
        count, first = self._found.get(kind, (0, name))
        self._found[kind] = count + 1, first

    def lines(self) -> tuple[str, ...]:
        """One line a kind, in the order in which they were met first."""
        return tuple(f"{kind}: {count} (first {first})" for kind, (count, first) in self._found.items())
