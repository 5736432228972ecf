"""What has been read of a foreign file so far, and checked access to what its operators name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node, live
from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import Hardtanh, Kind, Op, PixelNormalize, Relu, Value
from bnn_toolchain.converters.graph.real_ops import Clamp
from bnn_toolchain.converters.graph.size import NODES
from bnn_toolchain.converters.lce.format.container import Container, Operator, Tensor
from bnn_toolchain.converters.lce.format.geometry import SAME, VALID, Pads, same_pads
from bnn_toolchain.errors import FileFormatError, Unsupported
from bnn_toolchain.input_spec import InputSpec

WORD = 32
SIDE = 1 << 16  # of an image, a window, a stride or a dilation
CHANNELS = 1 << 12  # of the input
CLASSES = 1 << 16
NONE, RELU, RELU_N1_TO_1, RELU6 = range(4)  # fused activations, in TensorFlow Lite and in LCE


class Scope:
    """The nodes that the operators became, and the value of each tensor."""

    def __init__(self, container: Container, budget: int) -> None:
        self.tensors = container.tensors
        self.outputs = container.outputs
        self.budget = budget  # bytes that the operators may still read of constants
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
        nodes = list(live(self.nodes, name))
        if nodes[-1].name != name:
            nodes = [*(n for n in nodes if n.name != name), next(n for n in nodes if n.name == name)]
        if self.values[name].shape[0] > CLASSES:
            raise FileFormatError(f"the output has {self.values[name].shape[0]} features: the file is damaged")
        classes = tuple(str(i) for i in range(self.values[name].shape[0]))
        graph = Graph(replace(self.spec, classes=classes), tuple(nodes))
        return graph, {value: index for index, value in self.at.items() if value == self.names[index]}

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
        self.nodes.append(Node(name, op, names))
        if len(self.nodes) > 4 * NODES:
            raise Unsupported(f"{self.where}: the model has more than {4 * NODES} values")
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

    def constant(self, operator: Operator, place: int, dtype: DTypeLike, rank: int | None) -> NDArray[Any]:
        index = operator.inputs[place] if place < len(operator.inputs) else -1
        data = self.tensors[index].data if index >= 0 else None
        if data is None or data.dtype != dtype or rank not in (None, data.ndim) or not data.size:
            present = "nothing" if index < 0 else f"{self.tensors[index].type} {list(self.tensors[index].shape)}"
            raise Unsupported(f"{self.where}: its input {place} is {present}, not a constant {np.dtype(dtype).name}")
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
        self.charge(12 * channels)  # an addition becomes an Affine: ones, and the negated constant
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


def _names(tensors: tuple[Tensor, ...]) -> list[str]:
    """One name for each tensor: the first part of the file's, without what names may not hold, each only once."""
    taken = {INPUT}
    names = []
    for index, tensor in enumerate(tensors):
        name = tensor.name.partition(";")[0].replace("/", ".") or f"tensor{index}"
        if name in taken:
            name = f"{name}#{index}"
        taken.add(name)
        names.append(name)
    return names
