"""Which split an image belongs to, decided by its content alone: no other image has a say in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Assignment:
    """Indices, int64 [N], of the images that train, validate and test, each in an order that looks random."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def assign(
    digests: NDArray[np.uint8], test: float, validation: float, seed: int, limit: int | None = None
) -> Assignment:
    """Assign images by their ``digests``, uint8 [N, 32]; equal ones go together.

    Each image draws a number in [0, 1) from its digest and ``seed``, and the shares ``test`` and ``validation`` of
    that interval decide. Of those that do not test, the first ``limit`` in the order are kept.
    """
    drawn = [hashlib.blake2b(f"{seed}:".encode() + digest.tobytes(), digest_size=16).digest() for digest in digests]
    numbers = np.frombuffer(b"".join(drawn), "<u8").reshape(-1, 2)
    position = numbers[:, 0] / 2.0**64
    order = np.argsort(numbers[:, 1], kind="stable")
    tests = position[order] < test
    kept = order[~tests][:limit]
    validates = position[kept] < test + validation
    return Assignment(kept[~validates], kept[validates], order[tests])
