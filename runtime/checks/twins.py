"""The same network in float, to price a binary one against: same layers, same shapes, float weights.

Made from the lowered graph alone, so that every exported model has one. Each binary convolution or dense layer becomes
a float one with a bias, each threshold a ReLU; batch norm counts as folded into the weights, as a float network ships,
and padding with +1 becomes padding with 0. The weights are random (He): these networks are timed, never asked.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BatchNorm,
    Bias,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Conv,
    Divide,
    Flatten,
    Gemm,
    GlobalAveragePool,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Scale,
    ToReal,
)
from bnn_toolchain.converters.graph.real_ops import Clamp
from bnn_toolchain.converters.graph.traits import is_elementwise
from bnn_toolchain.converters.onnx import IR_VERSION
from bnn_toolchain.converters.onnx.functions import OPSET
from bnn_toolchain.errors import Unavailable, Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.engines import onnxruntime

CALIBRATION_IMAGES = 16
SEED = 0


def float_twin(graph: Graph) -> bytes:
    """An .onnx file of standard float operators: uint8 ``pixels`` [N, H, W, C] -> float32 [N, F].

    Raises:
        Unsupported: the graph holds an operator that no ONNX file of bnnt can.
    """
    network = _Network()
    values = {INPUT: INPUT}
    for node in graph.nodes:
        values[node.name] = _write(network, graph.spec, node, [values[name] for name in node.inputs])
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *graph.spec.shape])
    shape = graph.values[graph.output].shape
    output = helper.make_tensor_value_info(values[graph.output], TensorProto.FLOAT, ["N", *shape])
    model = helper.make_model(
        helper.make_graph(network.nodes, "float twin", [pixels], [output], network.tensors),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="bnnt",
        ir_version=IR_VERSION,
    )
    data: bytes = model.SerializeToString()
    return data


def int8_twins(graph: Graph, images: NDArray[np.uint8] | None = None) -> list[bytes]:
    """The float twin after onnxruntime's static quantisation, in both of its schemes: int8 weights with one scale a
    channel, and activations of uint8 or of int8. Which is the faster depends on the CPU.

    Calibrated on uint8 ``images`` [N, H, W, C], or without them on random ones, which is enough for timing.

    Raises:
        Unsupported: the graph holds an operator that no ONNX file of bnnt can.
        Unavailable: there is no onnxruntime, or it is so old that it calls functions which a new onnx lacks.
    """
    real, installed = float_twin(graph), onnxruntime.version()
    if images is None:
        images = np.random.default_rng(SEED).integers(0, 256, (CALIBRATION_IMAGES, *graph.spec.shape), np.uint8)
    try:
        return _quantised(real, images[:CALIBRATION_IMAGES])
    except Exception as error:  # the quantiser leaves errors as they come from the packages that it calls
        raise Unavailable(
            f"onnxruntime {installed} cannot quantise beside onnx {metadata.version('onnx')} ({error}): "
            "pip install --upgrade onnxruntime"
        ) from error


def _quantised(model: bytes, images: NDArray[np.uint8]) -> list[bytes]:
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.quant_utils import QuantType
    from onnxruntime.quantization.quantize import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Calibration(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:  # type: ignore[override]  # None is the end
            image = next(self.left, None)
            return None if image is None else {INPUT: image[None]}

    with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
        # Paths, and those as text, because old onnxruntimes take nothing else.
        real, prepared, rounded = (Path(folder, f"{name}.onnx") for name in ("real", "prepared", "rounded"))
        real.write_bytes(model)
        quant_pre_process(str(real), str(prepared), skip_symbolic_shape=True)
        twins = []
        for activations in (QuantType.QUInt8, QuantType.QInt8):
            quantize_static(
                str(prepared),
                str(rounded),
                Calibration(),
                per_channel=True,
                activation_type=activations,
                weight_type=QuantType.QInt8,
            )
            twins.append(rounded.read_bytes())
        return twins


@dataclass
class _Network:
    """What was written so far."""

    nodes: list[NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def add(self, op: str, inputs: list[str], *arrays: NDArray[Any], **attributes: Any) -> str:
        """Append one operator; its output's name."""
        name = f"{op}_{len(self.nodes)}"
        tensors = [numpy_helper.from_array(array, f"{name}/{i}") for i, array in enumerate(arrays)]
        self.tensors += tensors
        self.nodes.append(helper.make_node(op, [*inputs, *(t.name for t in tensors)], [name], name, **attributes))
        return name

    def conv(self, x: str, outputs: int, taps: tuple[int, int, int], op: BinaryConv2d | Conv) -> str:
        """A float convolution with ``taps`` (channels of a group, height, width)."""
        attributes = {"strides": op.strides, "dilations": op.dilations, "pads": op.pads, "group": op.group}
        return self.add("Conv", [x], *self._weights(outputs, *taps), **attributes)

    def dense(self, x: str, outputs: int, inputs: int) -> str:
        """A float dense layer."""
        return self.add("Gemm", [x], *self._weights(outputs, inputs), transB=1)

    def pool(self, x: str, op: MaxPool) -> str:
        """A maximum over windows."""
        return self.add("MaxPool", [x], kernel_shape=op.kernel, strides=op.strides, pads=op.pads)

    def _weights(self, outputs: int, *taps: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        weight = self.rng.standard_normal((outputs, *taps), np.float32) * np.float32(sqrt(2 / prod(taps)))
        return weight, np.full(outputs, 0.01, np.float32)


def _write(network: _Network, spec: InputSpec, node: Node, inputs: list[str]) -> str:
    """Write one node's float counterpart; the name of its output."""
    x = inputs[0]
    match node.op:
        case PixelInput() | PixelNormalize():
            real = network.add("Cast", [x], to=TensorProto.FLOAT)
            centred = network.add("Sub", [real], np.array(spec.offset, np.float32))
            scaled = network.add("Mul", [centred], np.array(spec.scale, np.float32))
            return network.add("Transpose", [scaled], perm=[0, 3, 1, 2])
        case BinaryConv2d() as conv:
            return _binary_conv(network, x, conv)
        case BinaryConv2dThreshold(conv):
            return network.add("Relu", [_binary_conv(network, x, conv)])
        case BinaryConv2dMaxPoolThreshold(conv, pool):
            return network.pool(network.add("Relu", [_binary_conv(network, x, conv)]), pool)
        case BinaryDense() as dense:
            return network.dense(x, len(dense.weight), dense.in_features)
        case BinaryDenseThreshold(dense):
            return network.add("Relu", [network.dense(x, len(dense.weight), dense.in_features)])
        case Conv(weight) as conv:
            return network.conv(x, len(weight), (weight.shape[1], weight.shape[2], weight.shape[3]), conv)
        case Gemm(weight):
            return network.dense(x, len(weight), weight.shape[1])
        case MaxPool() as pool:
            return network.pool(x, pool)
        case Affine() | ToReal():
            return x
        case op if is_elementwise(op) and not isinstance(op, Add | BatchNorm | Bias | Clamp | Divide | Scale):
            return network.add("Relu", [x])
        case Flatten():
            return network.add("Flatten", [x])
        case Add():
            return network.add("Add", inputs)
        case GlobalAveragePool():
            return network.add("GlobalAveragePool", [x])
        case _:
            raise Unsupported(
                f"{node.name}: {type(node.op).__name__} has no float twin: only what an ONNX file holds has"
            )


def _binary_conv(network: _Network, x: str, op: BinaryConv2d) -> str:
    outputs, height, width, _ = op.weight.shape
    return network.conv(x, outputs, (op.in_channels, height, width), op)
