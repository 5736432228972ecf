"""The images of a run, read again: they are those that its record names, or there are no figures."""

from __future__ import annotations

from pathlib import Path

from bnn_toolchain.data.config import moved, title_of
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.data.record import changes, changes_of_test, record_of
from bnn_toolchain.data.splits import Labelled
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.progress import Announce
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.run_folder import RunFolder


def read_test_images(folder: RunFolder, recipe: Recipe, place: Path | None, announce: Announce) -> tuple[Labelled, str]:
    """The test images of a run, equal to those that it was tested on, and the name of their data set.

    They are read from ``place``, or if it is None from where the recipe says. Changes of the other images do no harm,
    and are announced.

    Raises:
        UsageError: they cannot be read, or changed since; the message says how many of them the network has seen.
        FileFormatError: a file is corrupt, or the run has no record.
        Unavailable: the hub cannot be reached, or an optional package is missing.
    """
    data = recipe.data if place is None else moved(recipe.data, place)
    then = folder.read_record()
    try:
        splits = load_splits(data)
    except (UsageError, Unavailable) as error:
        raise type(error)(f"the images of {folder.path} cannot be read: {error}") from error
    now = record_of(splits)
    if changed := changes_of_test(then, now):
        raise UsageError(
            f"{splits.source}: {changed}; an accuracy on them would not be that of {folder.path}: put back the images "
            f"that it was trained with"
        )
    if splits.spec != folder.read_input():
        raise UsageError(f"{splits.source}: size, colours or classes are not those that {folder.path} was trained with")
    if changed := changes(then, now):
        announce(f"{splits.source}: {changed}; the {len(splits.test)} test images are those of the run")
    return splits.test, title_of(data)
