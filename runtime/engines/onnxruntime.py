"""Stock ONNX Runtime on the file as it stands: one thread, CPU."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph import INPUT, Graph, sums_reals
from bnn_toolchain.converters.ops import pack_bits
from bnn_toolchain.data.input import check_images
from bnn_toolchain.errors import Unavailable
from bnn_toolchain.runtime.digest import Hidden
from bnn_toolchain.runtime.engines.contract import OWN_ORDER, Contract

ERROR = 3  # severity of what ONNX Runtime logs


class OnnxRuntimeSession:
    """One model; a second copy that also yields the hidden bits is loaded when they are asked for."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._graph = onnx.from_bytes(model)
        self._plain = open_bytes(model)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        check_images(images, self._graph.spec)
        logits: NDArray[np.float32] = self._plain.run(None, {INPUT: images})[0]
        return logits

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Hidden]:
        """The logits and all binary activations, packed."""
        check_images(images, self._graph.spec)
        logits, *hidden = self._with_hidden.run(None, {INPUT: images})
        names = self._graph.hidden_bits()
        return logits, {name: pack_bits(channels_last(bits)) for name, bits in zip(names, hidden, strict=True)}

    def contract(self, graph: Graph) -> Contract:
        """Exact, but where reals are summed: the order is its own."""
        own_order = OWN_ORDER if sums_reals(graph) else 0.0
        return Contract(shows=graph.hidden_bits(), logits=own_order, reals=own_order)

    @cached_property
    def _with_hidden(self) -> Any:
        return open_bytes(with_hidden_outputs(self._model, self._graph))


def load(model: bytes) -> OnnxRuntimeSession:
    """Read ``model``, the content of an .onnx file that bnnt wrote.

    Raises:
        Unavailable: onnxruntime is not installed.
        FileFormatError: the model is truncated, corrupt or foreign.
    """
    return OnnxRuntimeSession(model)


def open_bytes(model: bytes) -> Any:
    """An ``onnxruntime.InferenceSession`` of any .onnx file, on one thread.

    Raises:
        Unavailable: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise Unavailable("onnxruntime is not installed: pip install onnxruntime") from error
    package: Any = onnxruntime  # untyped: it exports nothing explicitly
    options = package.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = ERROR
    return package.InferenceSession(model, options, providers=["CPUExecutionProvider"])


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
