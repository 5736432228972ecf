"""The native engine as the program bnnt-run, wherever a device runs it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import BadAnswer, FileFormatError
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.arrays import array_bytes, read_array
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.engine import Activations
from bnn_toolchain.runtime.engines.native.printed import Printed, read_printed


@dataclass(frozen=True)
class ProgramSession:
    """One model file and the program that runs it; each call is one run of the program on the device."""

    graph: Graph  # of the model file, to check what comes back
    model: Path | bytes  # its file, or what would be in it
    program: Path
    device: Device
    threads: int = 1

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        return self.run_hidden(images)[0]

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Activations]:
        """The logits, and of every binary activation one digest for each image, uint64 [N], as in golden vectors.

        Raises:
            CheckFailed: the program failed.
            BadAnswer: what it wrote has the wrong size or type.
            Unavailable: the device is lost.
        """
        check_images(images, self.graph.spec)
        try:
            return self._run(images)
        except FileFormatError as error:
            raise BadAnswer(f"{self.device} sent back what it should not: {error}") from error

    def _run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Activations]:
        arguments = ["model.onnx", "--images", "images.npy", "--logits", "logits.npy", "--digests", "digests.npy"]
        arguments += thread_words(self.threads)
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            logits_file, digests_file = (Path(folder) / name for name in arguments[4:7:2])
            printed = _printed(
                self.device,
                self.program,
                arguments,
                {"model.onnx": self.model, "images.npy": array_bytes(images)},
                {"logits.npy": logits_file, "digests.npy": digests_file},
            )
            if printed.images != len(images):
                raise FileFormatError(f"{self.program.name} on {self.device} ran other images than were sent")
            names = self.graph.hidden_bits()
            logits = read_array(logits_file, "<f4", (len(images), *self.graph.values[self.graph.output].shape))
            digests = read_array(digests_file, "<u8", (len(images), len(names)))
            return logits, dict(zip(names, digests.T, strict=True))

    def kernels(self) -> dict[str, str]:
        """Which kernel computes each node there.

        Raises:
            As :meth:`run_hidden`.
        """
        printed = _printed(self.device, self.program, ["model.onnx", "--describe"], {"model.onnx": self.model}, {})
        return {node.name: node.kernel for node in printed.nodes or ()}

    def contract(self, graph: Graph) -> Contract:
        """Everything, exactly: it sums reals in the reference's order."""
        return Contract(shows=graph.hidden_bits(), as_digests=True)


def thread_words(threads: int) -> list[str]:
    """bnnt-run's option for so many threads; an older program does not know it."""
    return [] if threads == 1 else ["--threads", str(threads)]


def _printed(
    device: Device,
    program: Path,
    arguments: Sequence[str],
    send: Mapping[str, Path | bytes],
    receive: Mapping[str, Path],
) -> Printed:
    return read_printed(device.run(program, arguments, send, receive))
