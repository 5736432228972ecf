"""The native engine as the program bnnt-run, wherever a device executes it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.arrays import read_array, write_array
from bnn_toolchain.runtime.engines.contract import Contract


@dataclass(frozen=True)
class ProgramSession:
    """One model file and the program that runs it; each call is one run of the program."""

    graph: Graph  # of the model file, to check what comes back
    model: Path
    program: Path
    execute: Callable[[Path, Sequence[str]], None]  # program, arguments

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        return self.run_digests(images)[0]

    def run_digests(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        """The logits and one digest for each image and binary activation: uint64 [N, L], as in golden vectors.

        Raises:
            CheckFailed: the program failed.
            FileFormatError: what it wrote has the wrong size or type.
        """
        check_images(images, self.graph.spec)
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            sent, logits, digests = (Path(folder) / name for name in ("images.npy", "logits.npy", "digests.npy"))
            write_array(sent, images)
            files = ("--images", str(sent), "--logits", str(logits), "--digests", str(digests))
            self.execute(self.program, (str(self.model), *files))
            shape = self.graph.values[self.graph.output].shape
            return (
                read_array(logits, "<f4", (len(images), *shape)),
                read_array(digests, "<u8", (len(images), len(self.graph.hidden_bits()))),
            )

    def contract(self, graph: Graph) -> Contract:
        """Everything, exactly: it sums reals in the reference's order."""
        return Contract(shows=graph.hidden_bits())
