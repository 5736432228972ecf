"""Golden vectors: images and what the reference answers, so that any program on any device can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import reference
from bnn_toolchain.converters.graph import Graph
from bnn_toolchain.errors import CheckFailed, FileFormatError
from bnn_toolchain.runtime.arrays import read_array, write_array
from bnn_toolchain.runtime.digest import digests
from bnn_toolchain.runtime.engines.engine import Session

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


def check_golden(golden: Golden, graph: Graph, session: Session, engine: str) -> None:
    """Compare an exact engine's logits and hidden bits on the golden images.

    Raises:
        CheckFailed: something differs; the message has the layer and the first image.
    """
    logits, hidden = session.run_hidden(golden.images)
    found = digests(graph, hidden, len(logits))
    for column, name in enumerate(graph.hidden_bits()):
        wrong = np.flatnonzero(found[:, column] != golden.digests[:, column])
        if len(wrong):
            raise CheckFailed(
                f"{engine} differs from the golden vectors in the bits of '{name}' on {len(wrong)} of "
                f"{len(golden.images)} images, first on image {wrong[0]}"
            )
    wrong = np.flatnonzero((logits.view(np.uint32) != golden.logits.view(np.uint32)).reshape(len(logits), -1).any(1))
    if len(wrong):
        raise CheckFailed(
            f"{engine} differs from the golden vectors in the logits of {len(wrong)} of {len(golden.images)} images, "
            f"first on image {wrong[0]}: {logits[wrong[0]]} instead of {golden.logits[wrong[0]]}"
        )
