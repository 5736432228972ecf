"""A lowered graph as the operators of Larq Compute Engine and TensorFlow Lite.

Inside the file a value (C, H, W) is [1, H, W, C] and a value (F,) is [1, 1, 1, F]; bits are int32 words along the last
axis; accumulators are float32, which holds them exactly. A node's value is the tensor of its name; its helpers are
called ``node/…``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np

from bnn_toolchain.converters.graph.forms import SimpleOp, form_of, is_simple
from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
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
    Hardtanh,
    Kind,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Scale,
    Sign,
    Threshold,
    ToReal,
    Value,
)
from bnn_toolchain.converters.graph.real_ops import FloatOp, OutputTransform
from bnn_toolchain.converters.lce.format.container import Container, Quantization, Tensor
from bnn_toolchain.converters.lce.format.geometry import VALID, padding_of
from bnn_toolchain.converters.lce.write.binary import (
    as_conv,
    compare,
    float_bits_conv,
    max_pool,
    thresholded,
    unpacked_conv,
)
from bnn_toolchain.converters.lce.write.emitter import WORD, Construction, Emitter, windows
from bnn_toolchain.errors import Unsupported

BORDERS = 1 << 26  # bytes of constants that correct zero padding, in one file


def write_graph(
    graph: Graph, metadata: dict[str, bytes], borders: int = BORDERS
) -> tuple[Container, tuple[Construction, ...]]:
    """The file of ``graph``, and what stands in it for nodes that LCE has no operator for.

    Constants that correct zero padding may take so many bytes as ``borders``.

    Raises:
        Unsupported: the graph is not lowered, or LCE cannot express it: the message says which node and why.
    """
    file, at = Emitter(_pixels(graph), borders), {INPUT: 0}
    for node in graph.nodes:
        if "/" in node.name or not node.name:
            raise Unsupported(f"a node is called '{node.name}': names are not empty and hold no '/'")
        inputs = tuple(at[name] for name in node.inputs)
        x, value = spatial(graph.values[node.inputs[0]]), graph.values[node.name]
        at[node.name] = _node(file, node, inputs, x, value)
    output = _output(file, at[graph.output], graph.values[graph.output])
    return Container(tuple(file.tensors), tuple(file.operators), (0,), (output,), metadata), tuple(file.constructions)


def _pixels(graph: Graph) -> Tensor:
    starts = [node.op for node in graph.nodes if isinstance(node.op, PixelInput | PixelNormalize)]
    zeros = {op.offset if isinstance(op, PixelInput) else 0 for op in starts}
    if len(zeros) != 1:
        raise Unsupported(f"the pixels are read with the offsets {sorted(zeros)}: LCE's input has one")
    return Tensor(INPUT, "UINT8", (1, *graph.spec.shape), None, Quantization(1.0, zeros.pop()))


def _output(file: Emitter, at: int, value: Value) -> int:
    if len(value.shape) != 1:
        return at
    shape = file.constant(f"{value.name}/shape", np.array([-1, *value.shape], np.int32))
    return file.emit("RESHAPE", (at, shape), f"{value.name}/output", "FLOAT32", (1, *value.shape))


def _node(file: Emitter, node: Node, inputs: tuple[int, ...], x: Value, value: Value) -> int:
    """Write one node, which reads the tensors ``inputs``, the first of them ``x``: where its ``value`` is."""
    name, at, op = node.name, inputs[0], node.op
    if is_simple(op):
        return _simple(file, name, op, inputs, x, value)
    if isinstance(op, FloatOp | OutputTransform):
        raise Unsupported(f"{name}: {type(op).__name__} is read from .tflite files, but not written")
    match op:
        case PixelInput():
            return file.real("DEQUANTIZE", (at,), name, value)
        case PixelNormalize(scale, offset):
            pixels = file.real("DEQUANTIZE", (at,), f"{name}/pixels", value)
            shifted = file.per_channel("SUB", pixels, f"{name}/offset", offset, f"{name}/shifted", value)
            return file.per_channel("MUL", shifted, f"{name}/scale", scale, name, value)
        case BinaryConv2d() | BinaryDense():
            conv = as_conv(op)
            ones, zeros = np.ones(len(conv.weight), np.float32), np.zeros(len(conv.weight), np.float32)
            if x.kind is Kind.BITS:
                return float_bits_conv(file, name, name, at, x, conv, ones, zeros)
            return unpacked_conv(file, name, name, at, x, conv, conv.weight, None)
        case BinaryConv2dThreshold(conv, threshold):
            return thresholded(file, name, at, x, conv, None, threshold)
        case BinaryConv2dMaxPoolThreshold(conv, pool, threshold):
            return thresholded(file, name, at, x, conv, pool, threshold)
        case BinaryDenseThreshold(dense, threshold):
            return thresholded(file, name, at, x, as_conv(dense), None, threshold)
        case MaxPool():
            return max_pool(file, name, name, at, x, op)
        case Flatten(channels_last=True):
            return flatten(file, name, at, x, value)
        case Threshold():
            return compare(file, name, at, value, op)
        case Affine(scale, offset):
            scaled = file.per_channel("MUL", at, f"{name}/scale", scale, f"{name}/scaled", value)
            return file.per_channel("ADD", scaled, f"{name}/offset", offset, name, value)
        case Conv():
            return float_conv(file, name, at, x, op, value)
        case Gemm(weight, bias):
            weights = file.constant(f"{name}/weight", weight)
            biases = -1 if bias is None else file.constant(f"{name}/bias", bias)
            return file.real("FULLY_CONNECTED", (at, weights, biases), name, value, keep_num_dims=True)
        case Hardtanh():
            return file.real("RELU_N1_TO_1", (at,), name, value)
        case Flatten() | BatchNorm() | Scale() | Divide() | Bias():
            raise Unsupported(f"{name}: {type(op).__name__} has no form in a file: lower the graph first")
        case _:
            assert_never(op)


def _simple(file: Emitter, name: str, op: SimpleOp, inputs: tuple[int, ...], x: Value, value: Value) -> int:
    match op:
        case Sign():
            return file.bits("LceQuantize", inputs, name, value)
        case ToReal():
            return inputs[0] if x.kind is Kind.ACC else file.real("LceDequantize", inputs, name, value)
        case GlobalAveragePool():
            window = {"filter_height": x.shape[1], "filter_width": x.shape[2], "stride_h": 1, "stride_w": 1}
            return file.real("AVERAGE_POOL_2D", inputs, name, value, padding=VALID, **window)
        case _:
            form = form_of(op)
            arrays = [file.constant(f"{name}/{field}", getattr(op, field)) for field in form.arrays]
            return file.real(form.tflite, (*inputs, *arrays), name, value)


def float_conv(file: Emitter, name: str, at: int, x: Value, conv: Conv, value: Value) -> int:
    kernel = (conv.weight.shape[2], conv.weight.shape[3])
    padding = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations)
    if padding is None:
        at, padding = file.pad(name, at, x, conv.pads, np.zeros(1, np.float32)), VALID
    inputs = [at, file.constant(f"{name}/weight", conv.weight.transpose(0, 2, 3, 1))]
    inputs.append(file.bias(name, conv.bias, len(conv.weight)))
    return file.real("CONV_2D", tuple(inputs), name, value, padding=padding, **windows(conv))


def flatten(file: Emitter, name: str, at: int, x: Value, value: Value) -> int:
    packed = x.kind is Kind.BITS and (x.shape[0] % WORD == 0 or x.shape[1:] == (1, 1))
    last = -(-value.shape[0] // WORD) if packed else value.shape[0]
    shape = file.constant(f"{name}/shape", np.array([-1, 1, 1, last], np.int32))
    if x.kind is not Kind.BITS:
        return file.real("RESHAPE", (at, shape), name, value)
    if packed:
        return file.bits("RESHAPE", (at, shape), name, value)
    file.note(name, f"{x.shape[0]} channels do not fill words of {WORD} bits: they are unpacked and packed again")
    unpacked = file.real("LceDequantize", (at,), f"{name}/unpacked", x)
    flat = file.real("RESHAPE", (unpacked, shape), f"{name}/flat", value)
    return file.bits("LceQuantize", (flat,), name, value)


def spatial(value: Value) -> Value:
    """A value (F,) as (F, 1, 1): dense layers are convolutions of one pixel."""
    return replace(value, shape=(*value.shape, 1, 1)) if len(value.shape) == 1 else value
