"""One 64-bit number that stands for a binary activation of one image.

bnnt-run reports these instead of the bits, and golden vectors hold them: 8 bytes instead of up to 16 KB.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph

Hidden = dict[str, NDArray[np.uint8]]
"""Packed binary activations by name, as :func:`bnn_toolchain.converters.reference.run_hidden` returns them."""

BASIS = 0xCBF29CE484222325
PRIME = 0x100000001B3


def fnv1a(packed: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """FNV-1a 64 (Fowler, Noll, Vo) of each image's bytes: uint8 [N, ...] -> uint64 [N]."""
    rows = packed.reshape(len(packed), prod(packed.shape[1:]))
    state = np.full(len(rows), BASIS, np.uint64)
    for column in np.ascontiguousarray(rows.T):
        state = (state ^ column) * np.uint64(PRIME)
    return state


def digests(graph: Graph, hidden: Hidden, images: int) -> NDArray[np.uint64]:
    """uint64 [images, L]: one digest for each image and each of ``graph.hidden_bits()``, in that order."""
    table = np.empty((images, len(graph.hidden_bits())), np.uint64)
    for column, name in enumerate(graph.hidden_bits()):
        table[:, column] = fnv1a(hidden[name])
    return table
