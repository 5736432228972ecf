"""Stock ONNX Runtime where a device's own Python has it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph, sums_reals
from bnn_toolchain.converters.rounding import OWN_ORDER
from bnn_toolchain.errors import BadAnswer, CheckFailed, FileFormatError, Unavailable
from bnn_toolchain.files import Strict, parse
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.arrays import array_bytes, read_array
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.engines import onnxruntime_there
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.engine import Activations

SCRIPT = Path(onnxruntime_there.__file__)


class Said(Strict):
    """What the script prints."""

    version: str
    load_us: float


@dataclass(frozen=True)
class OnnxRuntimeOnDevice:
    """One model; each call is one run of the script there."""

    graph: Graph
    model: Path | bytes
    device: Device

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C].

        Raises:
            Unavailable: there is no Python with onnxruntime on the device, or it is lost.
            BadAnswer: what it wrote has the wrong size or type.
        """
        check_images(images, self.graph.spec)
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            logits = Path(folder) / "logits.npy"
            run_there(self.device, self.model, images, ["logits.npy"], {"logits.npy": logits})
            try:
                return read_array(logits, "<f4", (len(images), *self.graph.values[self.graph.output].shape))
            except FileFormatError as error:
                raise BadAnswer(f"{self.device} sent back what it should not: {error}") from error

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Activations]:
        """The logits; hidden bits are not asked for."""
        return self.run(images), {}

    def contract(self, graph: Graph) -> Contract:
        """Logits, exact but where reals are summed: the order is its own."""
        return Contract(shows=(), logits=OWN_ORDER if sums_reals(graph) else 0.0)


def run_there(
    device: Device, model: Path | bytes, images: NDArray[np.uint8], words: list[str], receive: dict[str, Path]
) -> Said:
    """Run the script on ``device``; ``words`` follow the model and the images.

    Raises:
        Unavailable: there is no Python with numpy and onnxruntime, or the device is lost.
        BadAnswer: it prints something else.
    """
    send = {"model.onnx": model, "images.npy": array_bytes(images)}
    try:
        printed = device.run(SCRIPT, ["model.onnx", "images.npy", *words], send, receive, interpreter=device.python)
    except CheckFailed as error:
        raise Unavailable(
            f"onnxruntime does not run on {device} by '{' '.join(device.python)}' ({error}): install it there "
            "(python3 -m pip install onnxruntime), or name another python in the devices file"
        ) from error
    try:
        return parse(Said, printed)
    except ValueError as error:
        raise BadAnswer(f"{device} sent back what it should not: {error}") from error
