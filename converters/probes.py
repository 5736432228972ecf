"""Images on which a network shows what it is: its corners, and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.input_spec import InputSpec


def probes(spec: InputSpec, noise: int) -> dict[str, NDArray[np.uint8]]:
    """Images uint8 [H, W, C] by their names: those that reach the corners of a network, and so many of noise."""
    row, column = np.indices((spec.height, spec.width))
    plain = {
        "all 0": np.zeros_like(row),
        "all 255": np.full_like(row, 255),
        "a checkerboard": (row + column) % 2 * 255,
        "a gradient downwards": row * 255 // max(1, spec.height - 1),
        "a gradient to the right": column * 255 // max(1, spec.width - 1),
    }
    random = np.random.default_rng(0).integers(0, 256, (noise, *spec.shape), np.uint8)
    wide = {name: np.broadcast_to(plane.astype(np.uint8)[..., None], spec.shape) for name, plane in plain.items()}
    return {**{f"noise {i}": image for i, image in enumerate(random)}, **wide}
