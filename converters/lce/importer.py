"""Files of LCE's own converter, and stock float TensorFlow Lite, into the graph: one operator after the other.

A tensor [1, H, W, C] is a value (C, H, W), [1, F] and what a reshape made [1, 1, 1, F] a value (F,). What is not
supported is named with the operator's index and code.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bnn_toolchain.converters.float_ops import (
    AveragePool,
    BorderCorrection,
    Clamp,
    Concat,
    Multiply,
    OutputTransform,
    Pad,
    PRelu,
    Sigmoid,
    Slice,
    Softmax,
)
from bnn_toolchain.converters.graph import INPUT, Graph, Node
from bnn_toolchain.converters.lce.container import Container, Operator, Tensor
from bnn_toolchain.converters.lce.geometry import SAME, VALID, Pads, same_pads
from bnn_toolchain.converters.lce.thresholds import from_limits
from bnn_toolchain.converters.ops import (
    Add,
    Affine,
    BinaryConv2d,
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
    Op,
    PixelNormalize,
    Relu,
    Sign,
    Threshold,
    ToReal,
    Value,
    infer,
    unpack_bits,
)
from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.errors import FileFormatError, Unsupported

WORD = 32
SHARING = 4  # bytes of constants that operators may read for each byte of the file
ROOM = 1 << 20
SIDE = 1 << 16  # of an image, a window, a stride or a dilation
CHANNELS = 1 << 12  # of the input
ELEMENTS = 1 << 26  # of a value
CLASSES = 1 << 20
NONE, RELU, RELU_N1_TO_1, RELU6 = range(4)  # fused activations, in TensorFlow Lite and in LCE


def import_graph(container: Container, file_bytes: int) -> tuple[Graph, dict[str, int]]:
    """The graph of a foreign file, and the tensor of each node that has one.

    A file has no preprocessing of its own where its input is float: then the network sees the pixels 0 to 255 as they
    are, until the caller gives the graph another input (:func:`with_input`).

    Raises:
        FileFormatError: the file contradicts itself.
        Unsupported: an operator, a type or a shape that the graph has no place for.
    """
    importer = _Importer(container, SHARING * file_bytes + ROOM)
    for index, operator in enumerate(container.operators):
        importer.operator(index, operator)
    return importer.finish()


def with_input(graph: Graph, spec: InputSpec) -> Graph:
    """A foreign graph with the preprocessing and the class names that the file does not hold.

    Raises:
        Unsupported: another size than the model's.
    """
    if spec.shape != graph.spec.shape:
        raise Unsupported(f"the model takes images {list(graph.spec.shape)}, not {list(spec.shape)} (H, W, C)")
    first, *others = graph.nodes
    scale, offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)
    return Graph(spec, (replace(first, op=PixelNormalize(scale, offset)), *others), graph.decided_by)


class _Importer:
    def __init__(self, container: Container, budget: int) -> None:
        self.tensors = container.tensors
        self.outputs = container.outputs
        self.budget = budget
        self.readers = Counter(index for operator in container.operators for index in operator.inputs)
        self.names = _names(container.tensors)
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self.at: dict[int, str] = {}  # the value of a tensor
        self.where = "the input"
        if len(container.inputs) != 1 or len(container.outputs) != 1:
            raise Unsupported(f"{len(container.inputs)} inputs and {len(container.outputs)} outputs: one each is read")
        self.start(container.inputs[0])

    def start(self, index: int) -> None:
        tensor = self.tensors[index]
        if tensor.type not in ("FLOAT32", "UINT8") or len(tensor.shape) != 4 or 0 in tensor.shape:
            raise Unsupported(
                f"the input '{tensor.name}' is {tensor.type} {list(tensor.shape)}: float or uint8 images are read"
            )
        self.batch(tensor)
        height, width, channels = tensor.shape[1:]
        if max(height, width) > SIDE or channels > CHANNELS:
            raise FileFormatError(f"the input '{tensor.name}' is {list(tensor.shape)}: no image is so large")
        scale, offset = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        if tensor.type == "UINT8" and tensor.quantization:
            scale *= np.float32(tensor.quantization.scale)
            offset += np.float32(tensor.quantization.zero_point)
        scales, offsets = tuple(map(float, scale)), tuple(map(float, offset))
        self.spec = InputSpec(height, width, channels, scales, offsets, ())
        self.values[INPUT] = Value(INPUT, Kind.PIXELS, self.spec.shape)
        self.pixels = index if tensor.type == "UINT8" else -1
        self.add(index, PixelNormalize(scale, offset), INPUT)

    def finish(self) -> tuple[Graph, dict[str, int]]:
        (output,) = self.outputs
        name = self.at.get(output)
        if name is None:
            raise FileFormatError("no operator yields the model's output")
        nodes = _live(self.nodes, name)
        if nodes[-1].name != name:
            nodes = [*(n for n in nodes if n.name != name), next(n for n in nodes if n.name == name)]
        if self.values[name].shape[0] > CLASSES:
            raise FileFormatError(f"the output has {self.values[name].shape[0]} features: the file is damaged")
        classes = tuple(str(i) for i in range(self.values[name].shape[0]))
        graph = Graph(replace(self.spec, classes=classes), tuple(nodes))
        return graph, {value: index for index, value in self.at.items() if value == self.names[index]}

    # Operators

    def operator(self, index: int, operator: Operator) -> None:
        self.where = f"operator {index} ({operator.code})"
        if not operator.outputs or not operator.inputs:
            raise FileFormatError(f"{self.where} has no input or no output")
        for output in operator.outputs:
            self.batch(self.tensors[output])
            if output in self.at:
                raise FileFormatError(f"{self.where} yields a tensor that another operator yields")
        options, out = operator.options, operator.outputs[0]
        match operator.code:
            case "LceQuantize":
                self.add(out, Sign(), self.real(operator, 0))
            case "LceDequantize":
                x = self.value(operator, 0)
                if self.tensors[out].shape[-1:] != x.shape[:1] or self.tensors[out].type != "FLOAT32":
                    raise Unsupported(
                        f"{self.where}: it yields {self.tensors[out].type} of other channels than it reads"
                    )
                self.add(out, ToReal(), x.name)
            case "LceBconv2d":
                self.binary_conv(operator, options, out)
            case "LceBMaxPool2d":
                self.max_pool(operator, ("stride_height", "stride_width"))
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                self.conv(operator, depthwise=operator.code == "DEPTHWISE_CONV_2D")
            case "FULLY_CONNECTED":
                self.dense(operator)
            case "MAX_POOL_2D":
                self.max_pool(operator, ("stride_h", "stride_w"))
            case "AVERAGE_POOL_2D":
                self.average_pool(operator)
            case "MEAN":
                self.mean(operator)
            case "ADD" | "SUB" | "MUL":
                self.arithmetic(operator)
            case "RELU":
                self.add(out, Relu(), self.real(operator, 0))
            case "RELU_N1_TO_1":
                self.add(out, Hardtanh(), self.real(operator, 0))
            case "RELU6":
                self.add(out, Clamp(0, 6), self.real(operator, 0))
            case "LOGISTIC":
                self.add(out, Sigmoid(), self.real(operator, 0))
            case "PRELU":
                x = self.values[self.real(operator, 0)]
                self.add(out, PRelu(self.per_channel(operator, 1, x.shape[0])), x.name)
            case "SOFTMAX":
                self.add(out, Softmax(float(options["beta"])), self.real(operator, 0))
            case "CONCATENATION":
                self.concatenation(operator)
            case "SPLIT":
                self.split(operator)
            case "PAD" | "PADV2":
                self.pad(operator)
            case "RESHAPE":
                self.reshape(operator)
            case "DEQUANTIZE" if operator.inputs[0] == self.pixels:
                self.at[out] = self.at[self.pixels]
            case _:
                raise Unsupported(f"{self.where}: bnnt does not read this operator")

    def binary_conv(self, operator: Operator, options: dict[str, Any], out: int) -> None:
        x = self.value(operator, 0)
        missing = [key for key in _BCONV if key not in options]
        if missing or len(operator.inputs) != 5 or x.kind is not Kind.BITS:
            raise FileFormatError(f"{self.where} lacks an option {missing}, an input, or bits to read")
        words = self.constant(operator, 1, np.int32, 4)
        channels = self.integer(options, "channels_in", 1, 2**31 - 1)
        group, rest = divmod(-(-channels // WORD), words.shape[3])
        if x.shape[0] != channels or rest or group < 1 or (group > 1 and channels % (WORD * group)):
            raise FileFormatError(
                f"{self.where}: {list(words.shape)} words of weights for {channels} of {x.shape[0]} channels"
            )
        inputs = channels // group
        weight = np.ascontiguousarray(words, "<i4").view(np.uint8)[..., : -(-inputs // 8)]
        if inputs % WORD and np.any(words[..., -1].astype(np.int64) & 0xFFFFFFFF >> (inputs % WORD) << (inputs % WORD)):
            raise FileFormatError(f"{self.where}: weights beyond its {inputs} channels are not 0")
        strides = self.pair(options, "stride_height", "stride_width")
        dilations = self.pair(options, "dilation_height_factor", "dilation_width_factor")
        pads = self.pads(options, x, words.shape[1:3], strides, dilations)
        zero = any(pads) and not options["pad_values"]
        conv = BinaryConv2d(np.ascontiguousarray(weight), inputs, strides, dilations, pads, int(any(pads)), group)
        kind = self.tensors[out].type
        if kind == "INT32" and not zero:
            self.bits_conv(operator, out, x, conv)
        elif kind == "FLOAT32":
            self.float_conv(operator, options, out, x, conv, zero)
        else:
            what = f"{kind}{' with zero padding' * zero}"
            raise Unsupported(f"{self.where}: it yields {what}; float, or bits without zero padding, are read")

    def bits_conv(self, operator: Operator, out: int, x: Value, conv: BinaryConv2d) -> None:
        limit = self.constant(operator, 4, np.int32, 1)
        no_flip = np.zeros(len(limit), np.bool_)
        tau = from_limits(limit, no_flip, no_flip, _taps(conv))
        threshold = Threshold(tau, limit == np.iinfo(np.int32).min)
        if len(x.shape) == 1:
            self.add(out, BinaryDenseThreshold(self.as_dense(conv), threshold), x.name)
        else:
            self.add(out, BinaryConv2dThreshold(conv, threshold), x.name)

    def float_conv(
        self, operator: Operator, options: dict[str, Any], out: int, x: Value, conv: BinaryConv2d, zero: bool
    ) -> None:
        taps, outputs = _taps(conv), len(conv.weight)
        multiplier, bias = (self.per_channel(operator, i, outputs).astype(np.float64) for i in (2, 3))
        activation = options["fused_activation_function"]
        low, high = {RELU: (0, taps), RELU_N1_TO_1: (-1, 1), RELU6: (0, 6)}.get(activation, (-taps, taps))
        if zero and activation != NONE:
            raise Unsupported(f"{self.where}: an activation with zero padding; LCE's fast kernels refuse it too")
        transform = OutputTransform(
            taps,
            taps - high,
            taps - low,
            (-multiplier).astype(np.float32),
            (bias + taps * multiplier).astype(np.float32),
        )
        layer: Op = self.as_dense(conv) if len(x.shape) == 1 else conv
        acc = self.helper(out, "acc", layer, x.name)
        if not zero:
            self.add(out, transform, acc)
            return
        sums = unpack_bits(conv.weight, conv.in_channels).sum(-1, dtype=np.int32)
        real = self.helper(out, "padded", transform, acc)
        geometry = (x.shape[1], x.shape[2]), conv.strides, conv.dilations, conv.pads
        self.add(out, BorderCorrection(sums, multiplier.astype(np.float32), *geometry), real)

    def as_dense(self, conv: BinaryConv2d) -> BinaryDense:
        outputs, height, width, _ = conv.weight.shape
        if (height, width, conv.group) != (1, 1, 1):
            raise Unsupported(f"{self.where}: a window of {height}x{width} on flat features")
        return BinaryDense(conv.weight.reshape(outputs, -1), conv.in_channels)

    def conv(self, operator: Operator, depthwise: bool) -> None:
        x = self.values[self.real(operator, 0)]
        weight = self.constant(operator, 1, np.float32, 4)
        if depthwise:
            weight = weight.transpose(3, 1, 2, 0)
        if (
            len(x.shape) != 3
            or not weight.shape[3]
            or x.shape[0] % weight.shape[3]
            or (depthwise and weight.shape[3] != 1)
        ):
            raise FileFormatError(f"{self.where}: weights {list(weight.shape)} for {x.shape[0]} channels")
        strides = self.pair(operator.options, "stride_h", "stride_w")
        dilations = self.pair(operator.options, "dilation_h_factor", "dilation_w_factor")
        pads = self.pads(operator.options, x, weight.shape[1:3], strides, dilations)
        bias = self.bias(operator, len(weight))
        weight = np.ascontiguousarray(weight.transpose(0, 3, 1, 2), np.float32)
        op = Conv(weight, bias, strides, dilations, pads, x.shape[0] // weight.shape[1])
        self.activated(operator, op, x.name)

    def dense(self, operator: Operator) -> None:
        weight = np.ascontiguousarray(self.constant(operator, 1, np.float32, 2), np.float32)
        if operator.options["weights_format"]:
            raise Unsupported(f"{self.where}: its weights are shuffled")
        self.activated(operator, Gemm(weight, self.bias(operator, len(weight))), self.flat(operator))

    def max_pool(self, operator: Operator, strides: tuple[str, str]) -> None:
        x = self.value(operator, 0)
        kernel = self.pair(operator.options, "filter_height", "filter_width")
        step = self.pair(operator.options, *strides)
        pool = MaxPool(kernel, step, self.pads(operator.options, x, kernel, step))
        self.activated(operator, pool, x.name)

    def average_pool(self, operator: Operator) -> None:
        x = self.values[self.real(operator, 0)]
        kernel = self.pair(operator.options, "filter_height", "filter_width")
        strides = self.pair(operator.options, "stride_h", "stride_w")
        if kernel == x.shape[1:] and operator.options["padding"] == VALID:
            self.activated(operator, GlobalAveragePool(), x.name)
        else:
            pads = self.pads(operator.options, x, kernel, strides)
            self.activated(operator, AveragePool(kernel, strides, pads), x.name)

    def mean(self, operator: Operator) -> None:
        x = self.values[self.real(operator, 0)]
        axes = sorted(int(a) % 4 for a in self.constant(operator, 1, np.int32, None).reshape(-1)[:4])
        if axes != [1, 2] or len(x.shape) != 3:
            raise Unsupported(f"{self.where}: a mean over the axes {axes}; only that over an image is read")
        out = operator.outputs[0]
        if operator.options["keep_dims"]:
            self.add(out, GlobalAveragePool(), x.name)
        else:
            self.add(out, Flatten(), self.helper(out, "mean", GlobalAveragePool(), x.name))

    def arithmetic(self, operator: Operator) -> None:
        code, constants = operator.code, [i for i in operator.inputs if i >= 0 and self.tensors[i].data is not None]
        if len(operator.inputs) != 2 or len(constants) > 1 or (code == "SUB" and operator.inputs[0] in constants):
            raise Unsupported(
                f"{self.where}: it reads {len(operator.inputs)} tensors, {len(constants)} of them constants"
            )
        if constants:
            place = operator.inputs.index(constants[0])
            x = self.values[self.real(operator, 1 - place)]
            values = self.per_channel(operator, place, x.shape[0])
            ones, zeros = np.ones_like(values), np.zeros_like(values)
            if code == "MUL":
                self.activated(operator, Affine(values, zeros), x.name)
            else:
                self.shift(operator, Affine(ones, -values if code == "SUB" else values), x, operator.inputs[1 - place])
            return
        first, second = self.real(operator, 0), self.real(operator, 1)
        if code == "MUL" and len(self.values[first].shape) < len(self.values[second].shape):
            first, second = second, first
        if code == "SUB":
            raise Unsupported(f"{self.where}: only constants are subtracted")
        self.activated(operator, Multiply() if code == "MUL" else Add(), first, second)

    def shift(self, operator: Operator, op: Affine, x: Value, index: int) -> None:
        """An addition; behind a multiplication that nothing else reads, the two are one Affine."""
        last = self.nodes[-1]
        alone = self.readers[index] == 1 and index not in self.outputs
        if last.name == x.name and isinstance(last.op, Affine) and not last.op.offset.any() and alone:
            self.nodes.pop()
            op, x = Affine(last.op.scale, op.offset), self.values[last.inputs[0]]
        self.activated(operator, op, x.name)

    def concatenation(self, operator: Operator) -> None:
        names = [self.real(operator, i) for i in range(len(operator.inputs))]
        rank = len(self.tensors[operator.outputs[0]].shape)
        if operator.options["axis"] not in (-1, rank - 1):
            raise Unsupported(f"{self.where}: along the axis {operator.options['axis']}; only channels are joined")
        self.activated(operator, Concat(), *names)

    def split(self, operator: Operator) -> None:
        axis, x = self.constant(operator, 0, np.int32, None), self.values[self.real(operator, 1)]
        parts = len(operator.outputs)
        if axis.size != 1 or int(axis.flat[0]) not in (-1, len(x.shape)) or x.shape[0] % parts:
            raise Unsupported(f"{self.where}: only channels are split, evenly")
        size = x.shape[0] // parts
        for part, out in enumerate(operator.outputs):
            self.add(out, Slice(part * size, (part + 1) * size), x.name)

    def pad(self, operator: Operator) -> None:
        x = self.values[self.real(operator, 0)]
        amounts = self.constant(operator, 1, np.int32, 2)
        if amounts.shape != (4, 2) or amounts[0].any() or amounts.min() < 0 or len(x.shape) != 3:
            raise Unsupported(f"{self.where}: it pads by {amounts.tolist()}")
        value = self.constant(operator, 2, np.float32, None) if len(operator.inputs) > 2 else np.zeros(1, np.float32)
        if value.size != 1:
            raise FileFormatError(f"{self.where}: it pads with {value.size} values")
        _, (top, bottom), (left, right), (before, after) = amounts.tolist()
        self.add(operator.outputs[0], Pad((top, left, bottom, right), (before, after), float(value.flat[0])), x.name)

    def reshape(self, operator: Operator) -> None:
        x, out = self.value(operator, 0), operator.outputs[0]
        shape, features = self.tensors[out].shape, prod(x.shape)
        packed = x.kind is Kind.BITS
        if packed and x.shape[0] % WORD and features != x.shape[0]:
            raise Unsupported(f"{self.where}: {x.shape[0]} channels of bits that do not fill their words")
        last = -(-features // WORD) if packed else features
        if shape[-1:] != (last,) or prod(shape) != last:
            raise Unsupported(f"{self.where}: to {list(shape)}; only flattening is read")
        if len(x.shape) == 1:
            self.at[out] = x.name
        else:
            self.add(out, Flatten(), x.name)

    # Parts of operators

    def activated(self, operator: Operator, op: Op, *names: str) -> None:
        """``op`` and the activation that is fused to it."""
        out = operator.outputs[0]
        match operator.options.get("fused_activation_function", NONE):
            case 0:
                self.add(out, op, *names)
            case 1:
                self.add(out, Relu(), self.helper(out, "linear", op, *names))
            case 2:
                self.add(out, Hardtanh(), self.helper(out, "linear", op, *names))
            case 3:
                self.add(out, Clamp(0, 6), self.helper(out, "linear", op, *names))
            case code:
                raise Unsupported(f"{self.where}: the fused activation {code}")

    def add(self, out: int, op: Op, *names: str) -> None:
        """A node whose value is the tensor ``out``."""
        self.at[out] = self.node(self.names[out], op, *names)

    def helper(self, out: int, suffix: str, op: Op, *names: str) -> str:
        """A node that the file has no tensor for."""
        return self.node(f"{self.names[out]}:{suffix}", op, *names)

    def node(self, name: str, op: Op, *names: str) -> str:
        try:
            self.values[name] = infer(name, op, tuple(self.values[n] for n in names))
        except Unsupported as error:
            raise Unsupported(f"{self.where}: {error}") from error
        if prod(self.values[name].shape) > ELEMENTS:
            raise FileFormatError(
                f"{self.where}: a value of {prod(self.values[name].shape)} elements: the file is damaged"
            )
        self.nodes.append(Node(name, op, names))
        return name

    def value(self, operator: Operator, place: int) -> Value:
        index = operator.inputs[place] if place < len(operator.inputs) else -1
        if index < 0 or index not in self.at:
            what = "nothing" if index < 0 else f"'{self.tensors[index].name}', which no earlier operator yields"
            raise Unsupported(f"{self.where} reads {what}")
        return self.values[self.at[index]]

    def real(self, operator: Operator, place: int) -> str:
        value = self.value(operator, place)
        if value.kind is not Kind.REAL or self.tensors[operator.inputs[place]].type != "FLOAT32":
            kind = self.tensors[operator.inputs[place]].type
            raise Unsupported(f"{self.where} reads {kind} ({value.kind.value}): only float32 is read there")
        return value.name

    def flat(self, operator: Operator) -> str:
        name = self.real(operator, 0)
        if len(self.values[name].shape) == 1:
            return name
        return self.helper(operator.outputs[0], "flat", Flatten(), name)

    def constant(self, operator: Operator, place: int, dtype: DTypeLike, rank: int | None) -> NDArray[Any]:
        index = operator.inputs[place] if place < len(operator.inputs) else -1
        data = self.tensors[index].data if index >= 0 else None
        if data is None or data.dtype != dtype or rank not in (None, data.ndim) or not data.size:
            found = "nothing" if index < 0 else f"{self.tensors[index].type} {list(self.tensors[index].shape)}"
            raise Unsupported(f"{self.where}: its input {place} is {found}, not a constant {np.dtype(dtype).name}")
        self.charge(data.nbytes)
        return data

    def charge(self, size: int) -> None:
        self.budget -= size
        if self.budget < 0:
            raise FileFormatError(f"{self.where}: the operators share constants beyond reason: the file is damaged")

    def per_channel(self, operator: Operator, place: int, channels: int) -> NDArray[np.float32]:
        data = self.constant(operator, place, np.float32, None)
        if data.size not in (1, channels) or data.shape[-1:] not in ((), (data.size,)):
            raise Unsupported(f"{self.where}: a constant {list(data.shape)} for {channels} channels")
        self.charge(4 * channels)
        return np.broadcast_to(data.reshape(-1), (channels,)).astype(np.float32)

    def bias(self, operator: Operator, outputs: int) -> NDArray[np.float32] | None:
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return None
        bias = self.constant(operator, 2, np.float32, 1)
        if len(bias) != outputs:
            raise FileFormatError(f"{self.where}: a bias of {len(bias)} for {outputs} outputs")
        return bias.astype(np.float32)

    def pads(
        self,
        options: dict[str, Any],
        x: Value,
        kernel: tuple[int, ...],
        strides: tuple[int, int],
        dilations: tuple[int, int] = (1, 1),
    ) -> Pads:
        if self.integer(options, "padding", SAME, VALID) == VALID or len(x.shape) != 3:
            return (0, 0, 0, 0)
        return same_pads(x.shape, (kernel[0], kernel[1]), strides, dilations)

    def pair(self, options: dict[str, Any], first: str, second: str) -> tuple[int, int]:
        return self.integer(options, first, 1, SIDE), self.integer(options, second, 1, SIDE)

    def integer(self, options: dict[str, Any], key: str, low: int, high: int) -> int:
        value = options.get(key)
        if not isinstance(value, int) or not low <= value <= high:
            raise FileFormatError(f"{self.where}: the option '{key}' is {value!r}, outside [{low}, {high}]")
        return value

    def batch(self, tensor: Tensor) -> None:
        if tensor.shape[:1] != (1,):
            raise Unsupported(
                f"the tensor '{tensor.name}' {list(tensor.shape)}: files for a batch of one image are read"
            )


_BCONV = (
    "channels_in",
    "dilation_height_factor",
    "dilation_width_factor",
    "fused_activation_function",
    "pad_values",
    "padding",
    "stride_height",
    "stride_width",
)


def _taps(conv: BinaryConv2d) -> int:
    return prod(conv.weight.shape[1:3]) * conv.in_channels


def _names(tensors: tuple[Tensor, ...]) -> list[str]:
    """One name for each tensor: the first part of the file's, without what names may not hold, each only once."""
    taken = {INPUT}
    names = []
    for index, tensor in enumerate(tensors):
        name = tensor.name.split(";")[0].replace("/", ".") or f"tensor{index}"
        if name in taken:
            name = f"{name}#{index}"
        taken.add(name)
        names.append(name)
    return names


def _live(nodes: list[Node], output: str) -> list[Node]:
    """The nodes that the output needs, in their order."""
    needed = {output}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return [node for node in nodes if node.name in needed]
