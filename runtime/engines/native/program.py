"""The native engine as the program bnnt-run, wherever a device runs it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.arrays import read_array, write_array
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.engine import Activations
from bnn_toolchain.runtime.engines.native.printed import read_printed


@dataclass(frozen=True)
class ProgramSession:
    """One model file and the program that runs it; each call is one run of the program on the device."""

    graph: Graph  # of the model file, to check what comes back
    model: Path
    program: Path
    device: Device

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        return self.run_hidden(images)[0]

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Activations]:
        """The logits, and of every binary activation one digest for each image, uint64 [N], as in golden vectors.

        Raises:
            CheckFailed: the program failed.
            FileFormatError: what it wrote has the wrong size or type.
        """
        check_images(images, self.graph.spec)
        arguments = ["model.onnx", "--images", "images.npy", "--logits", "logits.npy", "--digests", "digests.npy"]
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            images_file, logits_file, digests_file = (Path(folder) / name for name in arguments[2::2])
            write_array(images_file, images)
            printed = self.device.run(
                self.program,
                arguments,
                send={"model.onnx": self.model, "images.npy": images_file},
                receive={"logits.npy": logits_file, "digests.npy": digests_file},
            )
            if read_printed(printed).images != len(images):
                raise FileFormatError(f"{self.program.name} on {self.device} ran other images than were sent")
            names = self.graph.hidden_bits()
            logits = read_array(logits_file, "<f4", (len(images), *self.graph.values[self.graph.output].shape))
            digests = read_array(digests_file, "<u8", (len(images), len(names)))
            return logits, dict(zip(names, digests.T, strict=True))

    def contract(self, graph: Graph) -> Contract:
        """Everything, exactly: it sums reals in the reference's order."""
        return Contract(shows=graph.hidden_bits(), as_digests=True)
