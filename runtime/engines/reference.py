"""The reference interpreter as an engine: numpy alone, exact, slow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx, reference
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.runtime.bundle.digest import Hidden
from bnn_toolchain.runtime.engines.contract import Contract


@dataclass(frozen=True)
class ReferenceSession:
    """One graph, interpreted."""

    graph: Graph

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        return reference.run(self.graph, images)

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Hidden]:
        """The logits and all binary activations, packed."""
        return reference.run_hidden(self.graph, images)

    def contract(self, graph: Graph) -> Contract:
        """Everything, exactly."""
        return Contract(shows=graph.hidden_bits())


def load(model: bytes) -> ReferenceSession:
    """Read ``model``, the content of an .onnx file that bnnt wrote.

    Raises:
        FileFormatError: it is truncated, corrupt or foreign.
    """
    return ReferenceSession(onnx.from_bytes(model))
