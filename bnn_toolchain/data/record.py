"""What a run was trained, validated and tested on, to be recognised when the images are read again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bnn_toolchain.data.splits import Labelled, Splits
from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.files import LARGE_FILE, parse, read_bounded, write_atomically


@dataclass(frozen=True)
class FileRecord:
    """An image file: its class and the SHA-256 of its content."""

    label: str
    sha256: str


@dataclass(frozen=True)
class SplitRecord:
    """The images of a split: their number, and one SHA-256 of all contents and classes in any order.

    ``files`` has those of a folder by their names; a table has none.
    """

    images: int
    sha256: str
    files: dict[str, FileRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """All images of a run, and in words where they were read from."""

    source: str
    train: SplitRecord
    validation: SplitRecord
    test: SplitRecord


def record_of(splits: Splits) -> Record:
    """The record of ``splits``; images that come from no file are known by their pixels."""
    parts = (_part(part, splits.spec.classes) for part in (splits.train, splits.validation, splits.test))
    return Record(splits.source, *parts)


def write_record(path: Path, record: Record) -> None:
    """Write the record as JSON."""
    write_atomically(path, (json.dumps(asdict(record), indent=1) + "\n").encode())


def read_record(path: Path) -> Record:
    """Read what :func:`write_record` wrote.

    Raises:
        FileFormatError: the file is missing or something else.
    """
    try:
        return parse(Record, read_bounded(path, LARGE_FILE))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} does not say which images the run had: {error}") from error


def changes(then: Record, now: Record) -> str:
    """How the images of ``now`` differ from those of ``then``, by split; empty if they do not."""
    pairs = (("training", then.train, now.train), ("validation", then.validation, now.validation))
    differences = [_change(name, before, after) for name, before, after in pairs]
    return "; ".join(difference for difference in (*differences, changes_of_test(then, now)) if difference)


def changes_of_test(then: Record, now: Record) -> str:
    """How the test images differ, and how many of them the network of ``then`` has seen; empty if they do not."""
    return _change("test", then.test, now.test, {"trained this network": then.train, "validated it": then.validation})


def _change(name: str, then: SplitRecord, now: SplitRecord, seen: dict[str, SplitRecord] | None = None) -> str:
    if then.sha256 == now.sha256:
        return ""
    if not then.files or not now.files:
        return f"the {name} images changed: they are not the {then.images} of the run's table"
    before, after = Counter(then.files.values()), Counter(now.files.values())
    added, gone = after - before, before - after
    counts: dict[str, int] = {}
    for what, part in (seen or {}).items():
        known = {file.sha256 for file in part.files.values()}
        counts[what] = sum(number for file, number in added.items() if file.sha256 in known)
    words = [f"{count} of {now.images} {what}" for what, count in counts.items() if count]
    for what, number, whole in (("new", added.total() - sum(counts.values()), now), ("gone", gone.total(), then)):
        words += [f"{number} of {whole.images} {'is' if number == 1 else 'are'} {what}"] if number else []
    return f"the {name} images changed: {', '.join(words)}"


def _part(part: Labelled, classes: tuple[str, ...]) -> SplitRecord:
    digests = (
        [digest.tobytes().hex() for digest in part.digests]
        if part.digests is not None
        else [hashlib.sha256(image.tobytes()).hexdigest() for image in part.images]
    )
    files = [FileRecord(classes[label], digest) for label, digest in zip(part.labels, digests, strict=True)]
    whole = hashlib.sha256()
    for line in sorted(f"{file.sha256} {file.label}\n" for file in files):
        whole.update(line.encode("utf-8", "backslashreplace"))
    named = {} if part.names is None else dict(zip(part.names.tolist(), files, strict=True))
    return SplitRecord(len(part), whole.hexdigest(), named)
