"""What a run measures, every epoch and at its end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.files import SMALL_FILE, parse, read_bounded, write_atomically

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Epoch:
    """One epoch. Accuracies, shares and ratios are 0 to 1.

    ``loss`` and ``accuracy`` are means over the augmented training batches; ``flip_ratio`` is the share of binary
    weights whose sign at the epoch's end differs from that at its start, ``flip_ratios`` the same by layer;
    ``positive_shares`` is, by binary activation, the share of +1 outputs on the validation images; ``learning_rate``
    that of the last step; ``seconds`` the time of training and validation.
    """

    epoch: int
    stage: int
    loss: float
    accuracy: float
    validation_accuracy: float
    flip_ratio: float
    flip_ratios: dict[str, float]
    positive_shares: dict[str, float]
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Summary:
    """A finished run: the test accuracy of the epoch that was best on the validation images, and what it took."""

    test_accuracy: float
    validation_accuracy: float
    best_epoch: int
    epochs: int
    seconds: float
    parameters: int
    seed: int
    device: str
    torch: str
    data: str


def append_epoch(path: Path, epoch: Epoch) -> None:
    """One line more in metrics.jsonl.

    Raises:
        OSError: it cannot be written; its ``filename`` is ``path``.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(epoch)) + "\n")
    except OSError as error:
        error.filename = str(path)
        raise


def read_epochs(path: Path) -> list[Epoch]:
    """All lines of metrics.jsonl; one that was cut off while it was written, at the end, is left out.

    Raises:
        FileFormatError: another line is not an epoch's.
    """
    if not path.exists():
        return []
    with path.open("rb") as file:
        return [_parsed(Epoch, line, path) for line in file if line.endswith(b"\n")]


def keep_epochs(path: Path, epochs: Iterable[Epoch]) -> None:
    """Replace metrics.jsonl."""
    write_atomically(path, "".join(json.dumps(asdict(epoch)) + "\n" for epoch in epochs).encode())


def write_summary(path: Path, summary: Summary) -> None:
    """Write summary.json."""
    write_atomically(path, (json.dumps(asdict(summary), indent=2) + "\n").encode())


def read_summary(path: Path) -> Summary:
    """Read summary.json.

    Raises:
        FileFormatError: it is something else.
    """
    try:
        text = read_bounded(path, SMALL_FILE)
    except ValueError as error:
        raise FileFormatError(f"{path} holds what bnnt did not write there: {error}") from error
    return _parsed(Summary, text, path)


def _parsed(kind: type[Parsed], text: bytes, path: Path) -> Parsed:
    try:
        return parse(kind, text)
    except ValueError as error:
        raise FileFormatError(f"{path} holds what bnnt did not write there: {error}") from error
