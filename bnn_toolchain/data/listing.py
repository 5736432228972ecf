"""Which files of a folder are images of which class, and a line on every kind of thing in it that is not one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

from bnn_toolchain.data.images import suffixes
from bnn_toolchain.data.remarks import Remarks
from bnn_toolchain.errors import UsageError

Split: TypeAlias = Literal["train", "validation", "test"]
NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
"""What the folder of a split is called, in any capitals."""


@dataclass(frozen=True)
class Member:
    """An image: its name seen from the listed folder, its class, and the split that its folder gives it, if any."""

    path: Path
    name: str
    label: int
    split: Split


@dataclass(frozen=True)
class Listing:
    """``splits`` are those that have a folder of their own; without any, all members are of "train"."""

    members: tuple[Member, ...]
    classes: tuple[str, ...]
    splits: frozenset[Split]
    remarks: Remarks


def list_folder(root: Path) -> Listing:
    """The images of a folder, by split, class and name.

    Raises:
        UsageError: it is missing, cannot be read, has fewer than two classes, a class without images, two folders for
            one split, or splits of other classes.
    """
    if not root.is_dir():
        raise UsageError(f"data.path: {root} is not a folder")
    remarks = Remarks()
    folders = _folders(root, root, remarks)
    own = _split_folders(root, folders)
    for folder in folders:
        if own and folder not in own.values():
            remarks.add("folders beside those of the splits, not read", f"{folder.name}/")
    members: list[Member] = []
    classes: tuple[str, ...] = ()
    for split, place in (own or {"train": root}).items():
        of_classes = folders if place == root else _folders(place, root, remarks)
        names = tuple(folder.name for folder in of_classes)
        if not names:
            raise UsageError(f"{place} has no sub-folders: put the images of each class into one that bears its name")
        if classes and names != classes:
            raise UsageError(
                f"{own['train']} has the classes {', '.join(classes)}, {place.name} has {', '.join(names)}"
            )
        classes = names
        for label, folder in enumerate(of_classes):
            images = [Member(path, _name(path, root), label, split) for path in _images(folder, root, remarks)]
            if not images:
                raise UsageError(f"{folder} has no images: put some there, or remove the folder")
            members += images
    if len(classes) == 1:
        raise UsageError(
            f"{root} has one class, '{classes[0]}', and there must be two: give the folder whose sub-folders are the "
            f"classes, or one with train/ and test/ or val/"
        )
    return Listing(tuple(members), classes, frozenset(own), remarks)


def _split_folders(root: Path, folders: list[Path]) -> dict[Split, Path]:
    """The folders of splits; none unless there is one to train on and another."""
    by_split = {
        split: [folder for folder in folders if folder.name.casefold() in names] for split, names in NAMES.items()
    }
    if not by_split["train"] or not (by_split["validation"] or by_split["test"]):
        return {}
    for split, places in by_split.items():
        if len(places) > 1:
            names = " and ".join(f"{folder.name}/" for folder in places)
            raise UsageError(f"{root} has {names} for one split, {split}: put the images into one of them")
    return {split: places[0] for split, places in by_split.items() if places}


def _folders(place: Path, root: Path, remarks: Remarks) -> list[Path]:
    """The folders in ``place``, sorted, links to some included; all else is remarked on."""
    folders = []
    try:
        entries = sorted(place.iterdir())
    except OSError as error:
        _refuse(error)
    for entry in entries:
        name = _name(entry, root)
        if entry.name.startswith("."):
            remarks.add("hidden files and folders, not read", name)
        elif not entry.is_dir():
            remarks.add("files outside the folders of the classes, not read", name)
        elif not _is_text(entry.name):
            raise UsageError(f"{place}: the name of the folder {name} is not UTF-8, and would name a class: rename it")
        else:
            folders.append(entry)
    return folders


def _images(folder: Path, root: Path, remarks: Remarks) -> Iterator[Path]:
    """The image files of a class, those of nested folders included, sorted; all else is remarked on."""
    known = suffixes()
    for place, folders, files in os.walk(folder, onerror=_refuse):
        kept = []
        for name in sorted(folders):
            path = Path(place, name)
            if name.startswith("."):
                remarks.add("hidden files and folders, not read", f"{_name(path, root)}/")
            elif path.is_symlink():  # it may lead back here
                remarks.add("links to folders inside a class, not read", f"{_name(path, root)}/")
            else:
                remarks.add("folders inside a class, whose images count to it", f"{_name(path, root)}/")
                kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith("."):
                remarks.add("hidden files and folders, not read", _name(path, root))
            elif not path.exists():
                remarks.add("broken links, not read", _name(path, root))
            elif path.suffix.lower() not in known or not path.is_file():
                remarks.add("files whose names are not those of images, not read", _name(path, root))
            else:
                yield path


def _name(path: Path, root: Path) -> str:
    """The path seen from ``root``, as text that can be written anywhere."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _refuse(error: OSError) -> NoReturn:
    raise UsageError(f"cannot read the folder {error.filename}: {error.strerror}") from error
