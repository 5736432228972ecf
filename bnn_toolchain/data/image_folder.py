"""Folders of images, one sub-folder a class, split by what the images hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.data.config import Folder
from bnn_toolchain.data.content import Assignment, assign
from bnn_toolchain.data.images import ImageReader, read_file
from bnn_toolchain.data.listing import Listing, Member, Split, list_folder
from bnn_toolchain.data.splits import VALIDATION, Labelled
from bnn_toolchain.errors import UsageError

ORDER: tuple[Split, ...] = ("test", "validation", "train")  # who keeps an image that several have
SEEDS, DRAWS = 1000, 200_000  # how many seeds, and draws, are tried to name a seed that works


@dataclass(frozen=True, eq=False)
class FolderSplits:
    """What a folder holds, and a line on each kind of thing in it that was not read as it stands."""

    train: Labelled
    validation: Labelled
    test: Labelled
    classes: tuple[str, ...]
    remarks: tuple[str, ...]


def read_folder(config: Folder) -> FolderSplits:
    """Read and decode a folder.

    An image that stands in the folders of two splits is left out of the first of training, validation and test.

    Raises:
        UsageError: the folder is not one of classes with images, a split or a class would have none to learn from, or
            images differ in size without a fit, or in their number of channels.
        FileFormatError: a file is no image, or a corrupt one.
    """
    listing = list_folder(config.path)
    reader = ImageReader(config.channels, config.size, config.fit)
    files = ((str(member.path), read_file(member.path)) for member in listing.members)
    images, digests = reader.read_all(files, len(listing.members))
    labels = np.array([member.label for member in listing.members], np.int64)
    names = np.array([member.name for member in listing.members], np.str_)
    _remark_on_copies(listing, digests)
    chosen = _chosen(config, listing, digests, labels)
    whole = Labelled(images, labels, digests, names)
    untested = set(range(len(listing.classes))) - set(labels[chosen.test].tolist())
    note = f"classes without a test image: {', '.join(listing.classes[label] for label in sorted(untested))}"
    return FolderSplits(
        whole.take(chosen.train),
        whole.take(chosen.validation),
        whole.take(chosen.test),
        listing.classes,
        (*listing.remarks.lines(), *reader.remarks.lines(), *([note] if untested else [])),
    )


def _chosen(config: Folder, listing: Listing, digests: NDArray[np.uint8], labels: NDArray[np.int64]) -> Assignment:
    """Who trains, validates and tests: by the folders of splits, and for the rest by content."""
    contents = [digest.tobytes() for digest in digests]
    taken: set[bytes] = set()
    own: dict[Split, NDArray[np.int64]] = {}
    for split in ORDER:
        rows = [row for row, member in enumerate(listing.members) if member.split == split]
        for row in rows:
            if contents[row] in taken:
                listing.remarks.add("images that a later split has too, left out", listing.members[row].name)
        own[split] = np.array([row for row in rows if contents[row] not in taken], np.int64)
        taken |= {contents[row] for row in rows}
    test = 0.0 if "test" in listing.splits else config.test_share
    validation = 0.0 if "validation" in listing.splits else (1 - test) * VALIDATION
    rest = own["train"]

    def choose(seed: int) -> Assignment:
        drawn = assign(digests[rest], test, validation, seed, config.limit)
        return Assignment(
            rest[drawn.train],
            rest[drawn.validation] if validation else own["validation"],
            rest[drawn.test] if test else own["test"],
        )

    chosen = choose(config.split_seed)
    problem = _problem(chosen, labels, listing.classes, config.limit)
    if problem:
        tried = range(max(1, min(SEEDS, DRAWS // max(1, len(rest)))))
        works = (seed for seed in tried if not _problem(choose(seed), labels, listing.classes, config.limit))
        seed = next(works, None)
        remedy = "add images" if seed is None else f"set data.split_seed={seed}, or add images"
        raise UsageError(f"{config.path}, {len(listing.members)} images: {problem}: {remedy}")
    return chosen


def _problem(chosen: Assignment, labels: NDArray[np.int64], classes: tuple[str, ...], limit: int | None) -> str:
    """Why nobody could learn from this, or measure it; empty if one can."""
    for name, part in (("test", chosen.test), ("validate", chosen.validation), ("train", chosen.train)):
        if not len(part):
            return f"none is left to {name}"
    missing = set(range(len(classes))) - set(labels[chosen.train].tolist())
    if missing and limit is None:
        return f"none of the class '{classes[min(missing)]}' is left to train"
    return ""


def _remark_on_copies(listing: Listing, digests: NDArray[np.uint8]) -> None:
    first: dict[bytes, Member] = {}
    for member, digest in zip(listing.members, digests, strict=True):
        known = first.setdefault(digest.tobytes(), member)
        if known.label != member.label:
            listing.remarks.add("images that another class has too", member.name)
        elif known is not member and known.split == member.split:
            listing.remarks.add("copies of images, in one split with them", member.name)
