"""Images and labels in memory, split into those that train, those that validate and those that test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec, check_images

VALIDATION = 0.1
"""The share of the training images, at their end, that validates."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images uint8 [N, H, W, C] and their classes int64 [N].

    Those that were read from files also have the files' SHA-256, uint8 [N, 32], and those of a folder their names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    digests: NDArray[np.uint8] | None = None
    names: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64] | slice) -> Labelled:
        """The images of ``index``, in that order."""
        return Labelled(
            self.images[index],
            self.labels[index],
            None if self.digests is None else self.digests[index],
            None if self.names is None else self.names[index],
        )


@dataclass(frozen=True, eq=False)
class Splits:
    """A whole data set; ``source`` says in words where it was read from, ``remarks`` what was not read as it stands.

    Raises:
        UsageError: an empty split, images or labels of another type or shape than :class:`Labelled` says or of another
            size than the specification's, or a label that has no class.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    spec: InputSpec
    source: str
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, part in (("training", self.train), ("validation", self.validation), ("test", self.test)):
            if not isinstance(part.images, np.ndarray) or not isinstance(part.labels, np.ndarray):
                raise UsageError(
                    f"{self.source}: the {name} split holds {type(part.images).__name__} and "
                    f"{type(part.labels).__name__}: give arrays of NumPy, images and labels"
                )
            check_images(part.images, self.spec)
            if part.labels.dtype != np.int64 or part.labels.shape != (len(part.images),):
                raise UsageError(
                    f"{self.source}: the labels of the {name} split are {part.labels.dtype} {list(part.labels.shape)} "
                    f"for {len(part.images)} images: give each the number of its class, int64 [{len(part.images)}]"
                )
            if not len(part):
                raise UsageError(f"{self.source}: the {name} split is empty")
            outside = part.labels[(part.labels < 0) | (part.labels >= len(self.spec.classes))]
            if len(outside):
                raise UsageError(
                    f"{self.source}: label {outside[0]} in the {name} split, but there are "
                    f"{len(self.spec.classes)} classes"
                )


def split(train: Labelled, test: Labelled, spec: InputSpec, source: str, remarks: tuple[str, ...] = ()) -> Splits:
    """The last tenth of ``train`` validates.

    Raises:
        UsageError: as :class:`Splits`, or the training split is too small, or sorted by class, so that its end is no
            sample of it.
    """
    held = round(len(train) * VALIDATION)
    if not held:
        raise UsageError(f"{source}: {len(train)} training images are too few to hold a tenth out for validation")
    splits = Splits(train.take(slice(None, -held)), train.take(slice(-held, None)), test, spec, source, remarks)
    if train.labels[0] != train.labels[-1] and np.all(np.diff(train.labels) >= 0):
        raise UsageError(
            f"{source}: the training split is sorted by class, so its end cannot validate: set data.shuffle"
        )
    return splits


def stratified(whole: Labelled, test_share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Training and test images, shuffled, the test holding ``test_share`` of each class, rounded."""
    rng = np.random.default_rng(seed)
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    for label in np.unique(whole.labels):
        members = rng.permutation(np.flatnonzero(whole.labels == label))
        count = round(len(members) * test_share)
        test.append(members[:count])
        train.append(members[count:])
    return whole.take(rng.permutation(np.concatenate(train))), whole.take(rng.permutation(np.concatenate(test)))
