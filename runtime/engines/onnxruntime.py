"""Stock ONNX Runtime on the file as it stands: one thread, CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph.graph import INPUT, Graph, sums_reals
from bnn_toolchain.converters.graph.ops import pack_bits
from bnn_toolchain.converters.rounding import OWN_ORDER
from bnn_toolchain.errors import Unavailable
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.digest import Hidden
from bnn_toolchain.runtime.engines.contract import Contract

ERROR = 3  # severity of what ONNX Runtime logs
FIRST_FOR_NUMPY_2 = (1, 19)

RunModel = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
"""uint8 images [N, H, W, C] to every output of a model, in the file's order."""


class OnnxRuntimeSession:
    """One model; a second copy that also yields the hidden bits is loaded when they are asked for."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._graph = onnx.from_bytes(model)
        self._plain = open_bytes(model)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        check_images(images, self._graph.spec)
        return self._plain(images)[0]

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Hidden]:
        """The logits and all binary activations, packed."""
        check_images(images, self._graph.spec)
        logits, *hidden = self._with_hidden(images)
        names = self._graph.hidden_bits()
        return logits, {name: pack_bits(channels_last(bits)) for name, bits in zip(names, hidden, strict=True)}

    def contract(self, graph: Graph) -> Contract:
        """Exact, but where reals are summed: the order is its own."""
        own_order = OWN_ORDER if sums_reals(graph) else 0.0
        return Contract(shows=graph.hidden_bits(), logits=own_order, reals=own_order)

    @cached_property
    def _with_hidden(self) -> RunModel:
        return open_bytes(with_hidden_outputs(self._model, self._graph))


def load(model: bytes) -> OnnxRuntimeSession:
    """Read ``model``, the content of an .onnx file that bnnt wrote.

    Raises:
        Unavailable: onnxruntime is not installed, or cannot load or run the model.
        FileFormatError: the model is truncated, corrupt or foreign.
    """
    return OnnxRuntimeSession(model)


def open_bytes(model: bytes, threads: int = 1) -> RunModel:
    """Load any .onnx file that takes uint8 ``pixels``; what is returned runs it.

    Raises:
        Unavailable: onnxruntime is not installed, or cannot load the model; the function that is returned raises it
            where onnxruntime cannot run it.
    """
    package = _package()
    options = package.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERROR
    try:
        session = package.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # what onnxruntime raises has no base of its own
        raise _failure("load", error) from error

    def run(images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        try:
            outputs: list[NDArray[np.float32]] = session.run(None, {INPUT: images})
        except Exception as error:
            raise _failure("run", error) from error
        return outputs

    return run


def version() -> str:
    """The version of onnxruntime.

    Raises:
        Unavailable: it is not installed.
    """
    return str(_package().__version__)


def _package() -> Any:
    try:
        installed = metadata.version("onnxruntime")
    except metadata.PackageNotFoundError:  # it may still be there, in a build of another name
        installed = ""
    if installed and _numbers(installed) < FIRST_FOR_NUMPY_2 and _numbers(np.__version__) >= (2, 0):
        raise Unavailable(
            f"onnxruntime {installed} is made for numpy 1 and crashes beside numpy {np.__version__}: "
            "pip install --upgrade onnxruntime, or pip install 'numpy<2'"
        )
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise Unavailable("onnxruntime is not installed: pip install onnxruntime") from error
        raise Unavailable(
            f"onnxruntime {installed} cannot be imported ({error}): pip install --force-reinstall onnxruntime"
        ) from error
    return onnxruntime


def _numbers(text: str) -> tuple[int, ...]:
    """Major and minor number of a version."""
    return tuple(int(part) for part in text.split(".")[:2])


def _failure(doing: str, error: Exception) -> Unavailable:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return Unavailable(
        f"onnxruntime {version()} cannot {doing} the model ({first}): export it again with this bnnt, or "
        "pip install --upgrade onnxruntime"
    )


def with_hidden_outputs(model: bytes, graph: Graph) -> bytes:
    """The same file with every binary activation of ``graph`` as an output more."""
    from onnx import ModelProto, TensorProto, helper

    proto = ModelProto.FromString(model)
    for name in graph.hidden_bits():
        shape: list[str | int | None] = ["N", *graph.values[name].shape]
        proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    data: bytes = proto.SerializeToString()
    return data


def channels_last(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, C, H, W] -> [N, H, W, C]; [N, F] stays."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
