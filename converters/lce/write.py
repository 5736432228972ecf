"""A lowered graph as the operators of Larq Compute Engine and TensorFlow Lite.

Inside the file a value (C, H, W) is [1, H, W, C] and a value (F,) is [1, 1, 1, F]; bits are int32 words along the last
axis; accumulators are float32, which holds them exactly. A node's value is the tensor of its name; its helpers are
called ``node/…``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.float_ops import border
from bnn_toolchain.converters.graph import INPUT, Graph, Node
from bnn_toolchain.converters.lce.container import Container, Operator, Quantization, Tensor
from bnn_toolchain.converters.lce.geometry import SAME, VALID, Pads, padding_of
from bnn_toolchain.converters.lce.thresholds import folds, limits, offsets
from bnn_toolchain.converters.ops import (
    ALWAYS,
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
    Flatten,
    Gemm,
    GlobalAveragePool,
    Hardtanh,
    Kind,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
    Value,
    infer,
    pack_bits,
    unpack_bits,
)
from bnn_toolchain.errors import Unsupported

WORD = 32
BORDERS = 1 << 26  # bytes of constants that correct zero padding, in one file
LOWEST = np.finfo(np.float32).min


@dataclass(frozen=True)
class Construction:
    """What stands in the file for a node that LCE has no operator for: exact, but not always free."""

    node: str
    how: str


def words(packed: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Packed bytes (…, B) as LCE's words (…, ceil(B / 4)), the last one filled with zeros."""
    spare = [(0, 0)] * (packed.ndim - 1) + [(0, -packed.shape[-1] % 4)]
    return np.ascontiguousarray(np.pad(packed, spare)).view("<i4").astype(np.int32, copy=False)


def as_conv(layer: BinaryConv2d | BinaryDense) -> BinaryConv2d:
    """A dense layer as a convolution of one pixel."""
    if isinstance(layer, BinaryConv2d):
        return layer
    return BinaryConv2d(layer.weight[:, None, None], layer.in_features)


class Writer:
    """The tensors and operators of a file, one node after the other."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.constructions: list[Construction] = []
        self.at: dict[str, int] = {}  # where each value of the graph is
        self.borders = 0  # bytes of constants that correct zero padding
        starts = [node.op for node in graph.nodes if isinstance(node.op, PixelInput | PixelNormalize)]
        zeros = {op.offset if isinstance(op, PixelInput) else 0 for op in starts}
        if len(zeros) != 1:
            raise Unsupported(f"the pixels are read with the offsets {sorted(zeros)}: LCE's input has one")
        pixels = Tensor(INPUT, "UINT8", (1, *graph.spec.shape), None, Quantization(1.0, zeros.pop()))
        self.tensors.append(pixels)
        self.at[INPUT] = 0

    def container(self, metadata: dict[str, bytes]) -> Container:
        """The whole file."""
        for node in self.graph.nodes:
            if "/" in node.name or not node.name:
                raise Unsupported(f"a node is called '{node.name}': names are not empty and hold no '/'")
            self.at[node.name] = self.node(node, spatial(self.graph.values[node.inputs[0]]))
        output = self.output()
        return Container(tuple(self.tensors), tuple(self.operators), (0,), (output,), metadata)

    def output(self) -> int:
        value = self.graph.values[self.graph.output]
        if len(value.shape) != 1:
            return self.at[value.name]
        shape = self.constant(f"{value.name}/shape", np.array([-1, *value.shape], np.int32))
        return self.emit("RESHAPE", (self.at[value.name], shape), f"{value.name}/output", "FLOAT32", (1, *value.shape))

    def node(self, node: Node, x: Value) -> int:
        """Write one node and return where its value is."""
        name, value, at = node.name, self.graph.values[node.name], self.at[node.inputs[0]]
        match node.op:
            case PixelInput():
                return self.real("DEQUANTIZE", (at,), name, value)
            case PixelNormalize(scale, offset):
                pixels = self.real("DEQUANTIZE", (at,), f"{name}/pixels", value)
                shifted = self.per_channel("SUB", pixels, f"{name}/offset", offset, f"{name}/shifted", value)
                return self.per_channel("MUL", shifted, f"{name}/scale", scale, name, value)
            case Sign():
                return self.bits("LceQuantize", (at,), name, value)
            case ToReal():
                return at if x.kind is Kind.ACC else self.real("LceDequantize", (at,), name, value)
            case BinaryConv2d() | BinaryDense():
                conv = as_conv(node.op)
                ones, zeros = np.ones(len(conv.weight), np.float32), np.zeros(len(conv.weight), np.float32)
                if x.kind is Kind.BITS:
                    return self.float_bits_conv(name, name, at, x, conv, ones, zeros)
                return self.unpacked_conv(name, name, at, x, conv, conv.weight, None)
            case BinaryConv2dThreshold(conv, threshold):
                return self.thresholded(name, at, x, conv, None, threshold)
            case BinaryConv2dMaxPoolThreshold(conv, pool, threshold):
                return self.thresholded(name, at, x, conv, pool, threshold)
            case BinaryDenseThreshold(dense, threshold):
                return self.thresholded(name, at, x, as_conv(dense), None, threshold)
            case MaxPool():
                return self.max_pool(name, name, at, x, node.op)
            case Flatten(channels_last=True):
                return self.flatten(name, at, x, value)
            case Threshold():
                return self.compare(name, at, value, node.op)
            case Affine(scale, offset):
                scaled = self.per_channel("MUL", at, f"{name}/scale", scale, f"{name}/scaled", value)
                return self.per_channel("ADD", scaled, f"{name}/offset", offset, name, value)
            case Conv():
                return self.conv(name, at, x, node.op, value)
            case Gemm(weight, bias):
                inputs = [at, self.constant(f"{name}/weight", weight)]
                inputs.append(-1 if bias is None else self.constant(f"{name}/bias", bias))
                return self.real("FULLY_CONNECTED", tuple(inputs), name, value, keep_num_dims=True)
            case Relu():
                return self.real("RELU", (at,), name, value)
            case Hardtanh():
                return self.real("RELU_N1_TO_1", (at,), name, value)
            case Add():
                return self.real("ADD", (at, self.at[node.inputs[1]]), name, value)
            case GlobalAveragePool():
                window = {"filter_height": x.shape[1], "filter_width": x.shape[2], "stride_h": 1, "stride_w": 1}
                return self.real("AVERAGE_POOL_2D", (at,), name, value, padding=VALID, **window)
            case Flatten() | BatchNorm() | Scale() | Bias():
                raise Unsupported(f"{name}: {type(node.op).__name__} has no form in a file: lower the graph first")
            case _:
                raise Unsupported(f"{name}: {type(node.op).__name__} is read from .tflite files, but not written")

    # Binary layers

    def thresholded(
        self, name: str, at: int, x: Value, conv: BinaryConv2d, pool: MaxPool | None, threshold: Threshold
    ) -> int:
        """A binary layer whose output is bits again."""
        if x.kind is Kind.BITS and (conv.pad_value == 1 or not any(conv.pads)):
            return self.bits_conv(name, at, x, conv, pool, threshold)
        acc = infer(f"{name}/acc", conv, (x,))
        fold = (pool is None or not threshold.flip.any()) and folds(threshold, acc.bound)
        sign = np.where(threshold.flip & fold, np.float32(-1), np.float32(1))
        offset = offsets(threshold) if fold else np.zeros_like(sign)
        if x.kind is Kind.BITS:
            at = self.float_bits_conv(name, acc.name, at, x, conv, sign, offset)
        else:
            weight = np.where(sign[:, None, None, None] < 0, flipped(conv), conv.weight)
            self.note_negated(name, sign < 0)
            at = self.unpacked_conv(name, acc.name, at, x, conv, weight, offset if fold else None)
        if pool:
            at = self.max_pool(name, f"{name}/pool", at, acc, pool)
            acc = infer(f"{name}/pool", pool, (acc,))
        if fold:
            return self.bits("LceQuantize", (at,), name, acc)
        return self.compare(name, at, acc, threshold)

    def bits_conv(
        self, name: str, at: int, x: Value, conv: BinaryConv2d, pool: MaxPool | None, threshold: Threshold
    ) -> int:
        """Bits to bits: one LceBconv2d; before pooling a flip must wait, else it becomes negated weights."""
        taps = prod(conv.weight.shape[1:3]) * conv.in_channels
        acc = infer(name, conv, (x,))
        if pool is None:
            negated = (threshold.flip & (threshold.tau != ALWAYS))[:, None, None, None]
            weight = np.where(negated, flipped(conv), conv.weight)
            self.note_negated(name, negated)
            limit, _ = limits(threshold, taps)
            return self.bconv(name, name, at, x, conv, weight, acc, limit=limit)
        limit, _ = limits(Threshold(threshold.tau, np.zeros_like(threshold.flip)), taps)
        at = self.bconv(name, f"{name}/bits", at, x, conv, conv.weight, acc, limit=limit)
        value = infer(name, pool, (Value(name, Kind.BITS, acc.shape),))
        if not threshold.flip.any():
            return self.max_pool(name, name, at, Value(name, Kind.BITS, acc.shape), pool)
        at = self.max_pool(name, f"{name}/pool", at, Value(name, Kind.BITS, acc.shape), pool)
        mask = self.constant(f"{name}/flip", words(np.packbits(threshold.flip, bitorder="little")))
        count = int(threshold.flip.sum())
        self.note(name, f"{count} channels with a negative scale are inverted after pooling (BITWISE_XOR)")
        return self.bits("BITWISE_XOR", (at, mask), name, value)

    def float_bits_conv(
        self,
        name: str,
        result: str,
        at: int,
        x: Value,
        conv: BinaryConv2d,
        sign: NDArray[np.float32],
        offset: NDArray[np.float32],
    ) -> int:
        """Bits to sign * accumulator + offset, an exact float; zero padding is LCE's own where that is right."""
        acc = infer(result, conv, (x,))
        kernel = (conv.weight.shape[1], conv.weight.shape[2])
        if conv.pad_value == 1 or not any(conv.pads):
            return self.bconv(name, result, at, x, conv, conv.weight, acc, sign=sign, offset=offset)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, conv.dilations, strict=True)]
        fits = all(span <= side for span, side in zip(spans, x.shape[1:], strict=True))
        same = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations) == SAME
        if same and fits and conv.group == 1 and conv.in_channels % 2 == 0:
            return self.bconv(name, result, at, x, conv, conv.weight, acc, sign=sign, offset=offset, zero=True)
        self.borders += 4 * prod(acc.shape)
        if self.borders > BORDERS:
            raise Unsupported(
                f"{name}: zero padding would take constants of {self.borders} bytes, more than {BORDERS}: pad with 1"
            )
        sums = unpack_bits(conv.weight, conv.in_channels).sum(-1, dtype=np.int64)
        change = border(sums, (x.shape[1], x.shape[2]), conv.strides, conv.dilations, conv.pads) * sign
        self.note(
            name,
            f"zero padding becomes padding with +1 and a constant of {change.nbytes} bytes that corrects the border",
        )
        padded = self.bconv(name, f"{name}/padded", at, x, conv, conv.weight, acc, sign=sign, offset=offset)
        constant = self.constant(f"{name}/border", change + np.float32(0))
        return self.real("ADD", (padded, constant), result, acc)

    def bconv(
        self,
        name: str,
        result: str,
        at: int,
        x: Value,
        conv: BinaryConv2d,
        weight: NDArray[np.uint8],
        acc: Value,
        *,
        limit: NDArray[np.int32] | None = None,
        sign: NDArray[np.float32] | None = None,
        offset: NDArray[np.float32] | None = None,
        zero: bool = False,
    ) -> int:
        """One LceBconv2d: bits where it has ``limit``, else sign * accumulator + offset."""
        if conv.group > 1 and conv.in_channels % WORD:
            raise Unsupported(
                f"{name}: a binary convolution of {conv.group} groups with {conv.in_channels} input channels each: "
                f"LCE takes multiples of {WORD}; use such widths, or group=1"
            )
        kernel = (weight.shape[1], weight.shape[2])
        padding = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations)
        if padding is None:
            self.note(name, f"its padding {conv.pads} is an operator of its own (PAD)")
            at, padding = self.pad(name, at, x, conv.pads, None), VALID
        inputs = [at, self.constant(f"{name}/weight", words(weight))]
        for key, array in (("multiplier", sign), ("bias", offset), ("limit", limit)):
            inputs.append(-1 if array is None else self.constant(f"{name}/{key}", array))
        options = {
            "channels_in": conv.in_channels * conv.group,
            "dilation_height_factor": conv.dilations[0],
            "dilation_width_factor": conv.dilations[1],
            "fused_activation_function": 0,
            "pad_values": int(padding == SAME and not zero),
            "padding": padding,
            "stride_height": conv.strides[0],
            "stride_width": conv.strides[1],
        }
        if limit is None:
            return self.real("LceBconv2d", tuple(inputs), result, acc, **options)
        return self.bits("LceBconv2d", tuple(inputs), result, acc, **options)

    def unpacked_conv(
        self,
        name: str,
        result: str,
        at: int,
        x: Value,
        conv: BinaryConv2d,
        weight: NDArray[np.uint8],
        offset: NDArray[np.float32] | None,
    ) -> int:
        """Integers or reals with binary weights: packed in the file, unpacked in each run, a float convolution."""
        acc = infer(result, conv, (x,))
        kernel = (weight.shape[1], weight.shape[2])
        shape = (len(weight), *kernel, conv.in_channels)
        flat = unpack_bits(weight, conv.in_channels).reshape(len(weight), -1)
        packed = self.constant(f"{name}/weight", words(pack_bits(flat)))
        signs = self.emit("LceDequantize", (packed,), f"{name}/signs", "FLOAT32", flat.shape)
        to = self.constant(f"{name}/shape", np.array(shape, np.int32))
        inputs = [at, self.emit("RESHAPE", (signs, to), f"{name}/filter", "FLOAT32", shape)]
        padding = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations)
        if padding is None or (padding == SAME and conv.pad_value):
            inputs[0] = self.pad(name, at, x, conv.pads, np.array([conv.pad_value], np.float32))
            padding = VALID
        inputs.append(self.bias(name, offset, len(weight)))
        self.note(name, "it reads integers or reals: its weights are unpacked in each run, for a float convolution")
        return self.real("CONV_2D", tuple(inputs), result, acc, padding=padding, **windows(conv))

    def compare(self, name: str, at: int, value: Value, threshold: Threshold) -> int:
        """Accumulators to bits."""
        if threshold.flip.any():
            sign = np.where(threshold.flip, np.float32(-1), np.float32(1))
            at = self.per_channel("MUL", at, f"{name}/sign", sign, f"{name}/signed", value)
        at = self.per_channel("ADD", at, f"{name}/offset", offsets(threshold), f"{name}/shifted", value)
        return self.bits("LceQuantize", (at,), name, value)

    # The rest

    def max_pool(self, name: str, result: str, at: int, x: Value, pool: MaxPool) -> int:
        value = infer(result, pool, (x,))
        padding = padding_of(pool.pads, x.shape, pool.kernel, pool.strides)
        if padding is None:
            # Ones, -1 in every channel, and the lowest float lose against every pixel.
            fill = np.array([-1], np.int32) if x.kind is Kind.BITS else np.array([LOWEST], np.float32)
            at, padding = self.pad(f"{name}/pooling", at, x, pool.pads, fill), VALID
        (height, width), (down, right) = pool.kernel, pool.strides
        if x.kind is Kind.BITS:
            window = {"filter_height": height, "filter_width": width, "stride_height": down, "stride_width": right}
            return self.bits("LceBMaxPool2d", (at,), result, value, padding=padding, **window)
        window = {"filter_height": height, "filter_width": width, "stride_h": down, "stride_w": right}
        return self.real("MAX_POOL_2D", (at,), result, value, padding=padding, **window)

    def conv(self, name: str, at: int, x: Value, conv: Conv, value: Value) -> int:
        kernel = (conv.weight.shape[2], conv.weight.shape[3])
        padding = padding_of(conv.pads, x.shape, kernel, conv.strides, conv.dilations)
        if padding is None:
            at, padding = self.pad(name, at, x, conv.pads, np.zeros(1, np.float32)), VALID
        inputs = [at, self.constant(f"{name}/weight", conv.weight.transpose(0, 2, 3, 1))]
        inputs.append(self.bias(name, conv.bias, len(conv.weight)))
        return self.real("CONV_2D", tuple(inputs), name, value, padding=padding, **windows(conv))

    def flatten(self, name: str, at: int, x: Value, value: Value) -> int:
        packed = x.kind is Kind.BITS and (x.shape[0] % WORD == 0 or x.shape[1:] == (1, 1))
        last = -(-value.shape[0] // WORD) if packed else value.shape[0]
        shape = self.constant(f"{name}/shape", np.array([-1, 1, 1, last], np.int32))
        if x.kind is not Kind.BITS:
            return self.real("RESHAPE", (at, shape), name, value)
        if packed:
            return self.bits("RESHAPE", (at, shape), name, value)
        self.note(name, f"{x.shape[0]} channels do not fill words of {WORD} bits: they are unpacked and packed again")
        unpacked = self.real("LceDequantize", (at,), f"{name}/unpacked", x)
        flat = self.real("RESHAPE", (unpacked, shape), f"{name}/flat", value)
        return self.bits("LceQuantize", (flat,), name, value)

    def pad(self, name: str, at: int, x: Value, pads: Pads, fill: NDArray[np.generic] | None) -> int:
        """Explicit padding; without ``fill`` bits are padded with +1."""
        top, left, bottom, right = pads
        amounts = self.constant(f"{name}/pads", np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
        shape = Value(x.name, x.kind, (x.shape[0], x.shape[1] + top + bottom, x.shape[2] + left + right))
        write = self.bits if x.kind is Kind.BITS else self.real
        if fill is None or not fill.any():
            return write("PAD", (at, amounts), f"{name}/around", shape)
        return write("PADV2", (at, amounts, self.constant(f"{name}/fill", fill)), f"{name}/around", shape)

    def bias(self, name: str, bias: NDArray[np.float32] | None, outputs: int) -> int:
        """CONV_2D wants a bias always."""
        if bias is None:
            return self.constant(f"{name}/no_bias", np.zeros(outputs, np.float32))
        return self.constant(f"{name}/bias", bias)

    def per_channel(self, code: str, at: int, key: str, array: NDArray[np.float32], result: str, value: Value) -> int:
        return self.real(code, (at, self.constant(key, array)), result, value)

    def real(self, code: str, inputs: tuple[int, ...], name: str, value: Value, **options: int) -> int:
        return self.emit(code, inputs, name, "FLOAT32", image(value.shape), **options)

    def bits(self, code: str, inputs: tuple[int, ...], name: str, value: Value, **options: int) -> int:
        *sides, channels = image(value.shape)
        return self.emit(code, inputs, name, "INT32", (*sides, -(-channels // WORD)), **options)

    def emit(
        self, code: str, inputs: tuple[int, ...], name: str, kind: str, shape: tuple[int, ...], **options: int
    ) -> int:
        self.tensors.append(Tensor(name, kind, shape))
        self.operators.append(Operator(code, inputs, (len(self.tensors) - 1,), options))
        return len(self.tensors) - 1

    def constant(self, name: str, array: NDArray[np.generic]) -> int:
        self.tensors.append(Tensor(name, "INT32" if array.dtype == np.int32 else "FLOAT32", array.shape, array))
        return len(self.tensors) - 1

    def note_negated(self, node: str, negated: NDArray[np.bool_]) -> None:
        if negated.any():
            self.note(node, f"{int(negated.sum())} channels with a negative scale have negated weights")

    def note(self, node: str, how: str) -> None:
        self.constructions.append(Construction(node, how))


def image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the file of a value (C, H, W) or (F,)."""
    return (1, shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, 1, 1, *shape)


def spatial(value: Value) -> Value:
    """A value (F,) as (F, 1, 1): dense layers are convolutions of one pixel."""
    return replace(value, shape=(*value.shape, 1, 1)) if len(value.shape) == 1 else value


def windows(conv: BinaryConv2d | Conv) -> dict[str, int]:
    return {
        "stride_h": conv.strides[0],
        "stride_w": conv.strides[1],
        "dilation_h_factor": conv.dilations[0],
        "dilation_w_factor": conv.dilations[1],
    }


def flipped(conv: BinaryConv2d) -> NDArray[np.uint8]:
    """The packed weights times -1."""
    return pack_bits(-unpack_bits(conv.weight, conv.in_channels))
