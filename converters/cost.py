"""What a lowered graph costs, layer by layer, and which layers stayed in float and why."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    BinaryDense,
    Conv,
    Gemm,
    Kind,
    Op,
    PixelNormalize,
    Threshold,
    Value,
)
from bnn_toolchain.converters.graph.traits import channel_arrays, parts
from bnn_toolchain.converters.passes import missed

ACTIVATION_BITS = {Kind.PIXELS: 8, Kind.BITS: 1, Kind.ACC: 32, Kind.REAL: 32}


@dataclass(frozen=True)
class LayerCost:
    """One node of the graph."""

    name: str
    op: str
    shape: tuple[int, ...]  # of the output, one image: (C, H, W) or (F,)
    input_kind: str
    output_kind: str
    weight_bits: int  # 1, 32, or 0 without weights
    activation_bits: int  # of what the node reads; a binary layer that reads integers reads pixels: 8
    parameters: int  # weights, thresholds, scales and offsets
    binary_macs: int  # multiply-accumulates of bits with bits, one image
    other_macs: int  # multiply-accumulates with an operand that is not a bit, one image
    bytes: int  # of the parameters as the file holds them
    moved: int  # bytes of one image that are read and written: parameters, inputs and output
    float_reason: str  # why a layer computes in float; empty if it does not
    missed: str  # why a pass left the node as it is, though it is one of those that the pass is for; else empty


@dataclass(frozen=True)
class Cost:
    """All rows and the file around them."""

    rows: tuple[LayerCost, ...]
    file_bytes: int
    alive_bytes: int  # the most that values of one image take at once, the input's pixels aside

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def binary_macs(self) -> int:
        return sum(row.binary_macs for row in self.rows)

    @property
    def other_macs(self) -> int:
        return sum(row.other_macs for row in self.rows)

    @property
    def parameter_bytes(self) -> int:
        """The sum over all rows: binary weights at one bit each, the rest at its full width."""
        return sum(row.bytes for row in self.rows)

    @property
    def container_bytes(self) -> int:
        """What the file holds besides parameters: operators, names, metadata, and the functions' bodies of an .onnx."""
        return self.file_bytes - self.parameter_bytes

    @property
    def float_layers(self) -> tuple[LayerCost, ...]:
        """The rows that compute in float, each with its reason."""
        return tuple(row for row in self.rows if row.float_reason)


def cost_of(graph: Graph, file_bytes: int) -> Cost:
    """The costs of a lowered ``graph`` whose file has ``file_bytes``."""
    reasons = {miss.node: miss.reason for miss in missed(graph)}
    rows = tuple(_row(graph, node, reasons.get(node.name, "")) for node in graph.nodes)
    return Cost(rows, file_bytes, _alive_bytes(graph))


def value_bytes(value: Value) -> int:
    """Of one image, as engines hold it: bits packed along the channels, accumulators and reals of 32 bits."""
    if value.kind is Kind.BITS:
        return (value.shape[0] + 7) // 8 * prod(value.shape[1:])
    return prod(value.shape) * (1 if value.kind is Kind.PIXELS else 4)


def _alive_bytes(graph: Graph) -> int:
    last = {name: index for index, node in enumerate(graph.nodes) for name in (*node.inputs, node.name)}
    alive: set[str] = set()
    most = 0
    for index, node in enumerate(graph.nodes):
        alive = {name for name in alive if last[name] >= index} | {node.name}
        most = max(most, sum(value_bytes(graph.values[name]) for name in alive))
    return most


def _row(graph: Graph, node: Node, missed: str) -> LayerCost:
    x, y = graph.values[node.inputs[0]], graph.values[node.name]
    weights, weight_bits, taps, outputs = _weights(node, x, y)
    macs = taps * outputs
    per_channel, width = _per_channel(node.op)
    binary = weight_bits == 1 and x.kind is Kind.BITS
    return LayerCost(
        name=node.name,
        op=type(node.op).__name__,
        shape=y.shape,
        input_kind=x.kind.value,
        output_kind=y.kind.value,
        weight_bits=weight_bits,
        activation_bits=8 if x.kind is Kind.ACC and weight_bits == 1 else ACTIVATION_BITS[x.kind],
        parameters=taps * (y.shape[0] if taps else 0) + per_channel,
        binary_macs=macs if binary else 0,
        other_macs=0 if binary else macs,
        bytes=weights + width,
        moved=weights + width + sum(value_bytes(graph.values[name]) for name in (*node.inputs, node.name)),
        float_reason=missed if isinstance(node.op, PixelNormalize) else _float_reason(node, x),
        missed=missed,
    )


def _weights(node: Node, x: Value, y: Value) -> tuple[int, int, int, int]:
    """Bytes of the weights, bits of one, products in one output, outputs."""
    match parts(node.op)[0]:
        case BinaryConv2d() as conv:
            taps = conv.in_channels * prod(conv.weight.shape[1:3])
            return conv.weight.nbytes, 1, taps, prod(infer(node.name, conv, (x,)).shape)
        case BinaryDense() as dense:
            return dense.weight.nbytes, 1, dense.in_features, y.shape[0]
        case Conv(weight, bias) | Gemm(weight, bias):
            biases = 0 if bias is None else bias.nbytes
            return weight.nbytes + biases, 32, prod(weight.shape[1:]), prod(y.shape)
        case _:
            return 0, 0, 0, 0


def _per_channel(op: Op) -> tuple[int, int]:
    """How many per-channel parameters, and their bytes besides those of weights."""
    if isinstance(op, Conv | Gemm):
        return 0 if op.bias is None else len(op.bias), 0
    last = parts(op)[-1]
    arrays = channel_arrays(last).values()
    count = sum(len(array) for array in arrays)
    return count // 2 if isinstance(last, Threshold) else count, sum(array.nbytes for array in arrays)


def _float_reason(node: Node, x: Value) -> str:
    match node.op:
        case Conv():
            return "weights are float: use BinaryConv2d"
        case Gemm():
            return "weights are float: use BinaryLinear"
        case BinaryConv2d() | BinaryDense() if x.kind is Kind.REAL:
            return f"reads the real value '{x.name}': binarize it, or keep the normalisation integer"
        case _:
            return ""
