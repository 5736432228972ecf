"""What an engine is, and how each is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import require_lce
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.packages import named_packages
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.names import EngineName

if TYPE_CHECKING:
    from bnn_toolchain.runtime.engines.lce.session import Kernel

Activations = dict[str, NDArray[Any]]
"""Binary activations by name: packed bits, uint8 [N, …], or digests, uint64 [N]."""


class Session(Protocol):
    """A model that is loaded and ready to run."""

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Activations]:
        """The logits and the binary activations, packed as the reference packs them, or as their digests."""

    def contract(self, graph: Graph) -> Contract:
        """What the engine promises if its model is ``graph``."""


def open_session(
    engine: EngineName, model: bytes, run: Path | None = None, tflite: bytes | None = None, threads: int = 1
) -> Session:
    """Load ``model``, the content of an .onnx file that bnnt wrote, with one engine.

    The torch engine runs the module of the training ``run`` that the model was exported from, LCE's interpreter the
    content of a .tflite file. ``threads`` are the native engine's.

    Raises:
        Unavailable: the engine, or what it needs, is not installed.
        UsageError: LCE without a .tflite file.
        FileFormatError: the model is truncated, corrupt or foreign.
    """
    match engine:
        case "lce":
            return _lce(tflite, "indirect")
        case "lce-optimized":
            return _lce(tflite, "optimized")
        case "lce-reference":
            return _lce(tflite, "reference")
        case "native":
            from bnn_toolchain.runtime.engines.native import library as native

            return native.load(model, threads=threads, images=native.TOGETHER)
        case "onnxruntime":
            from bnn_toolchain.runtime.engines import onnxruntime

            return onnxruntime.load(model)
        case "reference":
            from bnn_toolchain.runtime.engines import reference

            return reference.load(model)
        case "torch":
            with named_packages():
                from bnn_toolchain.runtime.engines.torch import load as load_trained
            if run is None:
                raise Unavailable(
                    "the torch engine runs the trained module, and the model names no training run: "
                    "give the run folder, or leave this engine out"
                )
            return load_trained(model, run)


def _lce(tflite: bytes | None, kernel: Kernel) -> Session:
    if tflite is None:
        raise UsageError("LCE runs .tflite files, and the bundle has none: export with --format onnx,lce,native")
    require_lce()
    from bnn_toolchain.runtime.engines.lce import session as lce

    return lce.load(tflite, kernel)
