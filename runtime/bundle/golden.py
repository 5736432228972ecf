"""Golden vectors: images and what the reference answers, so that any program on any device can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import reference
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import CheckFailed, FileFormatError
from bnn_toolchain.runtime.bundle.arrays import read_array, write_array
from bnn_toolchain.runtime.bundle.digest import digests

FILES = ("images.npy", "logits.npy", "digests.npy")


@dataclass(frozen=True, eq=False)
class Golden:
    """Images, and the reference's answers to the last bit."""

    images: NDArray[np.uint8]  # (N, H, W, C)
    logits: NDArray[np.float32]  # (N, F)
    digests: NDArray[np.uint64]  # (N, L), one column for each of graph.hidden_bits()


def make_golden(graph: Graph, images: NDArray[np.uint8]) -> Golden:
    """Run the reference on ``images``.

    Raises:
        UsageError: images of another type or size.
    """
    logits, hidden = reference.run_hidden(graph, images)
    return Golden(images, logits, digests(graph, hidden, len(images)))


def write_golden(golden: Golden, folder: Path) -> None:
    """Write the three files of ``FILES`` into ``folder``, which exists."""
    write_array(folder / FILES[0], golden.images)
    write_array(folder / FILES[1], golden.logits)
    write_array(folder / FILES[2], golden.digests)


def read_golden(folder: Path, graph: Graph) -> Golden:
    """Read golden vectors of ``graph``.

    Raises:
        FileFormatError: a file is missing, truncated, or belongs to another model.
    """
    images = read_array(folder / FILES[0], "|u1", (None, *graph.spec.shape))
    if not len(images):
        raise FileFormatError(f"{folder / FILES[0]} holds no image")
    logits = read_array(folder / FILES[1], "<f4", (len(images), *graph.values[graph.output].shape))
    return Golden(images, logits, read_array(folder / FILES[2], "<u8", (len(images), len(graph.hidden_bits()))))


def check_golden(golden: Golden, graph: Graph) -> None:
    """Compare the answers with those that the reference gives now.

    Raises:
        CheckFailed: something differs; the message has the layer and the first image.
    """
    expected = make_golden(graph, golden.images)
    count = len(golden.images)
    for column, name in enumerate(graph.hidden_bits()):
        wrong = np.flatnonzero(golden.digests[:, column] != expected.digests[:, column])
        if len(wrong):
            raise CheckFailed(
                f"the golden vectors differ from the reference in the bits of '{name}' on {len(wrong)} of {count} "
                f"images, first on image {wrong[0]}"
            )
    stored, logits = golden.logits.view(np.uint32), np.ascontiguousarray(expected.logits).view(np.uint32)
    wrong = np.flatnonzero((stored != logits).any(axis=1))
    if len(wrong):
        raise CheckFailed(
            f"the golden vectors differ from the reference in the logits of {len(wrong)} of {count} images, first on "
            f"image {wrong[0]}: expected {expected.logits[wrong[0]]}, found {golden.logits[wrong[0]]}"
        )
