"""Folders of images, one sub-folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bnn_toolchain.data.config import Folder
from bnn_toolchain.data.images import decode_all
from bnn_toolchain.data.splits import Labelled, shuffled, stratified
from bnn_toolchain.errors import UsageError


def read_folder(config: Folder) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    """Training images, test images and class names.

    Raises:
        UsageError: the folder is missing or empty, train/ and test/ have other classes, images differ in size.
        FileFormatError: a file is no image, or a corrupt one.
    """
    root = config.path
    if not root.is_dir():
        raise UsageError(f"data.path: {root} is not a folder")
    if (root / "train").is_dir() and (root / "test").is_dir():
        train, classes = _read(root / "train", config.channels)
        test, others = _read(root / "test", train.images.shape[3])
        if classes != others:
            raise UsageError(f"{root}/train has the classes {', '.join(classes)}, test has {', '.join(others)}")
        if train.images.shape[1:] != test.images.shape[1:]:
            sizes = " and ".join(f"{part.images.shape[1]}x{part.images.shape[2]}" for part in (train, test))
            raise UsageError(f"{root}: the images of train/ and test/ have {sizes} pixels: give all one size")
        return shuffled(train, config.split_seed), test, classes
    whole, classes = _read(root, config.channels)
    return *stratified(whole, config.test_share, config.split_seed), classes


def _read(root: Path, channels: int | None) -> tuple[Labelled, tuple[str, ...]]:
    classes = tuple(sorted(each.name for each in root.iterdir() if each.is_dir() and not each.name.startswith(".")))
    if not classes:
        raise UsageError(f"{root} has no sub-folders: put the images of each class into one that bears its name")
    files: list[tuple[str, bytes]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        members = sorted(each for each in (root / name).iterdir() if each.is_file() and not each.name.startswith("."))
        if not members:
            raise UsageError(f"{root / name} has no images")
        files += [(str(each), each.read_bytes()) for each in members]
        labels += [label] * len(members)
    return Labelled(decode_all(files, channels), np.array(labels, np.int64)), classes
