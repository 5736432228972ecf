"""The float twin of a network, and that twin in int8, as .tflite files: what LiteRT is timed with.

As :mod:`bnn_toolchain.runtime.checks.twins`: the same layers and shapes, random weights, ReLUs for signs; timed, never
asked. So int8 needs no calibration: all scales are alike, of weights one for each output.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Conv,
    Flatten,
    Gemm,
    GlobalAveragePool,
    MaxPool,
    PixelInput,
    PixelNormalize,
    ToReal,
)
from bnn_toolchain.converters.graph.traits import is_elementwise
from bnn_toolchain.converters.lce.format.container import Container, Operator, Quantization, Tensor
from bnn_toolchain.converters.lce.format.geometry import SAME, VALID
from bnn_toolchain.errors import Unsupported

Kind = Literal["FLOAT32", "INT8"]

PIXELS = Quantization(1 / 64, 128)
VALUES = Quantization(1 / 64, 0)
STEP = 1 / 256  # of weights
RELU = 1  # fused_activation_function
FUSES = ("ADD", "CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D")


def tflite_twin(graph: Graph, kind: Kind) -> Container:
    """A file of builtin operators: uint8 ``pixels`` [1, H, W, C] to values of ``kind``.

    Raises:
        Unsupported: an operator without a twin here: groups, and paddings that no operator of TensorFlow Lite has the
            output size of.
    """
    pixels = Tensor(INPUT, "UINT8", (1, *graph.spec.shape), None, PIXELS)
    twin, at = _Twin(graph, kind, [pixels]), {INPUT: 0}
    for node in graph.nodes:
        at[node.name] = twin.node(node, [at[name] for name in node.inputs])
    return Container(tuple(twin.tensors), tuple(twin.operators), (0,), (at[graph.output],), {})


@dataclass
class _Twin:
    """The file so far; a method that adds an operator returns its value's tensor."""

    graph: Graph
    kind: Kind
    tensors: list[Tensor]
    operators: list[Operator] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def node(self, node: Node, inputs: list[int]) -> int:
        shape = _image(self.graph.values[node.name].shape)
        match node.op:
            case PixelInput() | PixelNormalize():
                return self.add("DEQUANTIZE" if self.kind == "FLOAT32" else "QUANTIZE", inputs, shape)
            case BinaryConv2d() | Conv() as conv:
                return self.conv(node, conv, inputs, shape)
            case BinaryConv2dThreshold(conv):
                return self.conv(node, conv, inputs, shape, RELU)
            case BinaryConv2dMaxPoolThreshold(conv, pool):
                between = _image(infer(node.name, conv, (self.graph.values[node.inputs[0]],)).shape)
                return self.pool(node, pool, [self.conv(node, conv, inputs, between, RELU)], shape)
            case BinaryDense() | Gemm() as dense:
                return self.dense(dense, inputs, shape)
            case BinaryDenseThreshold(dense):
                return self.dense(dense, inputs, shape, RELU)
            case MaxPool() as pool:
                return self.pool(node, pool, inputs, shape)
            case Affine() | ToReal():
                return inputs[0]
            case Add():
                return self.add("ADD", inputs, shape)
            case Flatten():
                return self.add("RESHAPE", [*inputs, self.constant(np.array(shape, np.int32))], shape)
            case GlobalAveragePool():
                window = self.window(node, self.shape(inputs[0])[1:3], (1, 1), inputs[0], shape)
                return self.add("AVERAGE_POOL_2D", inputs, shape, **window)
            case op if is_elementwise(op):
                return self.relu(inputs, shape)
            case op:
                raise Unsupported(f"{node.name}: {type(op).__name__} has no .tflite twin")

    def relu(self, inputs: list[int], shape: tuple[int, ...]) -> int:
        """Within the operator before, as converters have it; a shortcut then gets the same."""
        for index, before in enumerate(self.operators):
            if before.outputs == tuple(inputs) and before.code in FUSES:
                fused = before.options | {"fused_activation_function": RELU}
                self.operators[index] = replace(before, options=fused)
                return inputs[0]
        return self.add("RELU", inputs, shape)

    def conv(
        self, node: Node, op: BinaryConv2d | Conv, inputs: list[int], shape: tuple[int, ...], relu: int = 0
    ) -> int:
        if op.group > 1:
            raise Unsupported(f"{node.name}: a convolution of groups has no .tflite twin")
        kernel = op.weight.shape[2:4] if isinstance(op, Conv) else op.weight.shape[1:3]
        weights = self.weights(shape[-1], *kernel, self.shape(inputs[0])[-1])
        options = {"padding": self.padding(node, kernel, op.strides, op.dilations, inputs[0], shape)}
        options |= {"stride_h": op.strides[0], "stride_w": op.strides[1], "fused_activation_function": relu}
        options |= {"dilation_h_factor": op.dilations[0], "dilation_w_factor": op.dilations[1]}
        return self.add("CONV_2D", [*inputs, *weights], shape, **options)

    def dense(self, op: BinaryDense | Gemm, inputs: list[int], shape: tuple[int, ...], relu: int = 0) -> int:
        features = op.in_features if isinstance(op, BinaryDense) else op.weight.shape[1]
        weights = self.weights(len(op.weight), features)
        return self.add("FULLY_CONNECTED", [*inputs, *weights], shape, fused_activation_function=relu)

    def pool(self, node: Node, op: MaxPool, inputs: list[int], shape: tuple[int, ...]) -> int:
        return self.add("MAX_POOL_2D", inputs, shape, **self.window(node, op.kernel, op.strides, inputs[0], shape))

    def window(
        self, node: Node, kernel: tuple[int, ...], strides: tuple[int, int], at: int, shape: tuple[int, ...]
    ) -> dict[str, int]:
        sides = {"filter_height": kernel[0], "filter_width": kernel[1], "stride_h": strides[0], "stride_w": strides[1]}
        return sides | {"padding": self.padding(node, kernel, strides, (1, 1), at, shape)}

    def padding(
        self,
        node: Node,
        kernel: tuple[int, ...],
        strides: tuple[int, int],
        dilations: tuple[int, int],
        at: int,
        shape: tuple[int, ...],
    ) -> int:
        """The padding that yields as many windows: where they lie does not change what they cost."""
        _, *sides, _ = self.shape(at)
        reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
        if shape[1:3] == tuple(-(-side // stride) for side, stride in zip(sides, strides, strict=True)):
            return SAME
        if shape[1:3] == tuple(-(-(side - r) // stride) for side, r, stride in zip(sides, reach, strides, strict=True)):
            return VALID
        raise Unsupported(f"{node.name}: no padding of TensorFlow Lite makes {sides} to {list(shape[1:3])}")

    def weights(self, outputs: int, *taps: int) -> tuple[int, int]:
        """Random weights [outputs, taps] and biases."""
        normal = self.rng.standard_normal((outputs, *taps), np.float32) * np.float32(sqrt(2 / prod(taps)))
        if self.kind == "FLOAT32":
            return self.constant(normal), self.constant(np.full(outputs, 0.01, np.float32))
        rounded = np.clip(np.rint(normal / STEP), -127, 127).astype(np.int8)
        steps, sums = (Quantization(scale, 0, outputs) for scale in (STEP, VALUES.scale * STEP))
        return self.constant(rounded, steps), self.constant(np.zeros(outputs, np.int32), sums)

    def constant(self, array: NDArray[np.generic], quantization: Quantization | None = None) -> int:
        kind = {"float32": "FLOAT32", "int32": "INT32", "int8": "INT8"}[array.dtype.name]
        self.tensors.append(Tensor(f"constant {len(self.tensors)}", kind, array.shape, array, quantization))
        return len(self.tensors) - 1

    def add(self, code: str, inputs: list[int], shape: tuple[int, ...], **options: int) -> int:
        quantization = None if self.kind == "FLOAT32" else VALUES
        self.tensors.append(Tensor(f"value {len(self.tensors)}", self.kind, shape, None, quantization))
        self.operators.append(Operator(code, tuple(inputs), (len(self.tensors) - 1,), options))
        return len(self.tensors) - 1

    def shape(self, at: int) -> tuple[int, ...]:
        return self.tensors[at].shape


def _image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the file of a value (C, H, W) or (F,)."""
    return (1, shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, *shape)
