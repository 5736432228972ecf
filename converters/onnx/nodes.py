"""ONNX nodes back into the graph's nodes. The file is not trusted: every length is checked before it is used."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from bnn_toolchain.converters.graph.forms import form_called
from bnn_toolchain.converters.graph.graph import Node
from bnn_toolchain.converters.graph.ops import (
    Affine,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Conv,
    Flatten,
    Gemm,
    Hardtanh,
    MaxPool,
    Op,
    PixelInput,
    PixelNormalize,
    Threshold,
)
from bnn_toolchain.converters.graph.size import NODES
from bnn_toolchain.converters.onnx.functions import DOMAIN
from bnn_toolchain.errors import FileFormatError, Unsupported

RANK = 4  # of a tensor
MOST = 2**31 - 1  # of an attribute or a dimension: the native engine counts in 32 bits

_DTYPES: dict[int, DTypeLike] = {
    TensorProto.UINT8: np.uint8,
    TensorProto.INT32: np.int32,
    TensorProto.BOOL: np.bool_,
    TensorProto.FLOAT: np.float32,
}


def read_nodes(model: ModelProto) -> tuple[Node, ...]:
    """The graph's nodes.

    Raises:
        FileFormatError: a tensor, an attribute or an operator that this format does not have.
        Unsupported: too many operators.
    """
    if len(model.graph.node) > NODES:
        raise Unsupported(f"a graph of {len(model.graph.node)} operators: a file holds at most {NODES}")
    tensors = {tensor.name: _array(tensor) for tensor in model.graph.initializer}
    return tuple(_Reader(node, tensors).node() for node in model.graph.node)


def _array(tensor: TensorProto) -> NDArray[Any]:
    dtype = _DTYPES.get(tensor.data_type)
    if dtype is None or tensor.data_location != TensorProto.DEFAULT:
        raise FileFormatError(f"the tensor '{tensor.name}' has a type or place that bnnt does not write")
    shape = tuple(tensor.dims[: RANK + 1])
    if len(shape) > RANK or any(not 1 <= side <= MOST for side in shape):
        raise FileFormatError(f"the tensor '{tensor.name}' has the shape {list(shape)}")
    expected = prod(shape) * np.dtype(dtype).itemsize
    if len(tensor.raw_data) != expected:
        raise FileFormatError(f"the tensor '{tensor.name}' holds {len(tensor.raw_data)} bytes of {expected}")
    raw = np.frombuffer(tensor.raw_data, np.dtype(dtype).newbyteorder("<"))
    if dtype is np.bool_ and np.any(raw.view(np.uint8) > 1):
        raise FileFormatError(f"the tensor '{tensor.name}' holds a bool that is neither 0 nor 1")
    return raw.astype(dtype).reshape(shape)


class _Reader:
    """One node of the file and the tensors that it may name."""

    def __init__(self, proto: NodeProto, tensors: dict[str, NDArray[Any]]) -> None:
        self.name = proto.output[0] if proto.output else ""
        self.proto = proto
        self.attributes = {attribute.name: attribute for attribute in proto.attribute}
        self.inputs = [name for name in proto.input if name not in tensors]
        self.tensors = [tensors.pop(name) for name in proto.input if name in tensors]  # each belongs to one node

    def node(self) -> Node:
        return Node(self.name, self.op(), tuple(self.inputs))

    def op(self) -> Op:
        form = form_called(self.proto.op_type)
        if form is not None and self.proto.domain == ("" if form.standard else DOMAIN):
            self.arity(form.inputs)
            op: Op = form.op(*(self.per_channel(index, np.float32) for index, _ in enumerate(form.arrays)))
            return op
        self.arity(1)
        match self.proto.domain, self.proto.op_type:
            case "bnnt", "PixelInput":
                return PixelInput(self.integer("offset", 0, 255))
            case "bnnt", "PixelNormalize":
                return PixelNormalize(self.per_channel(0, np.float32), self.per_channel(1, np.float32))
            case "bnnt", "Flatten":
                return Flatten()
            case "bnnt", "BinaryConv2d":
                return self.binary_conv()
            case "bnnt", "BinaryDense":
                return self.binary_dense()
            case "bnnt", "Threshold":
                return self.threshold(0)
            case "bnnt", "Affine" | "AffineReal":
                return Affine(self.per_channel(0, np.float32), self.per_channel(1, np.float32))
            case "bnnt", "BinaryConv2dThreshold":
                return BinaryConv2dThreshold(self.binary_conv(), self.threshold(1))
            case "bnnt", "BinaryConv2dMaxPoolThreshold":
                return BinaryConv2dMaxPoolThreshold(
                    self.binary_conv(), self.pool("pool_kernel", "pool_strides", "pool_pads"), self.threshold(1)
                )
            case "bnnt", "BinaryDenseThreshold":
                return BinaryDenseThreshold(self.binary_dense(), self.threshold(1))
            case "", "MaxPool":
                return self.pool("kernel_shape", "strides", "pads")
            case "", "Clip":
                return Hardtanh()
            case "", "Conv":
                return Conv(
                    self.tensor(0, np.float32, 4),
                    self.bias(),
                    self.pair("strides"),
                    self.pair("dilations"),
                    self.pads("pads"),
                    self.integer("group", 1, MOST),
                )
            case "", "Gemm":
                return Gemm(self.tensor(0, np.float32, 2), self.bias())
            case domain, op_type:
                known = f"the domain '{domain}'" if domain not in ("", DOMAIN) else "an operator"
                raise FileFormatError(f"{self.name}: {op_type} is {known} that bnnt does not write")

    def arity(self, count: int) -> None:
        if len(self.inputs) != count:
            raise FileFormatError(f"{self.name}: {self.proto.op_type} reads {len(self.inputs)} values, not {count}")

    def binary_conv(self) -> BinaryConv2d:
        in_channels = self.integer("in_channels", 1, MOST)
        return BinaryConv2d(
            self.packed(4, in_channels),
            in_channels,
            self.pair("strides"),
            self.pair("dilations"),
            self.pads("pads"),
            self.integer("pad_value", 0, 1),
            self.integer("group", 1, MOST),
        )

    def binary_dense(self) -> BinaryDense:
        in_features = self.integer("in_features", 1, MOST)
        return BinaryDense(self.packed(2, in_features), in_features)

    def threshold(self, first: int) -> Threshold:
        return Threshold(self.per_channel(first, np.int32), self.per_channel(first + 1, np.bool_))

    def pool(self, kernel: str, strides: str, pads: str) -> MaxPool:
        return MaxPool(self.pair(kernel), self.pair(strides), self.pads(pads))

    def packed(self, rank: int, count: int) -> NDArray[np.uint8]:
        weight: NDArray[np.uint8] = self.tensor(0, np.uint8, rank)
        if weight.shape[-1] != (count + 7) // 8:
            raise FileFormatError(f"{self.name}: {weight.shape[-1]} bytes of weights for {count} input channels")
        if count % 8 and np.any(weight[..., -1] >> (count % 8)):
            raise FileFormatError(f"{self.name}: the tail bits of its weights are not 0")
        return weight

    def bias(self) -> NDArray[np.float32] | None:
        bias: NDArray[np.float32] | None = self.tensor(1, np.float32, 1) if len(self.tensors) > 1 else None
        outputs = len(self.tensors[0])
        if bias is not None and len(bias) != outputs:
            raise FileFormatError(f"{self.name}: a bias of {len(bias)} for {outputs} outputs")
        return bias

    def per_channel(self, index: int, dtype: DTypeLike) -> NDArray[Any]:
        return self.tensor(index, dtype, None).reshape(-1)

    def tensor(self, index: int, dtype: DTypeLike, rank: int | None) -> NDArray[Any]:
        if index >= len(self.tensors):
            raise FileFormatError(f"{self.name}: {self.proto.op_type} lacks tensor {index}")
        tensor = self.tensors[index]
        if tensor.dtype != dtype or (rank is not None and tensor.ndim != rank):
            raise FileFormatError(
                f"{self.name}: tensor {index} of {self.proto.op_type} is {tensor.dtype} {list(tensor.shape)}"
            )
        return tensor

    def integer(self, key: str, low: int, high: int) -> int:
        attribute = self.attribute(key, AttributeProto.INT)
        return self.within(key, attribute.i, low, high)

    def pair(self, key: str) -> tuple[int, int]:
        first, second = self.integers(key, 2, 1)
        return first, second

    def pads(self, key: str) -> tuple[int, int, int, int]:
        top, left, bottom, right = self.integers(key, 4, 0)
        return top, left, bottom, right

    def integers(self, key: str, count: int, low: int) -> list[int]:
        values = self.attribute(key, AttributeProto.INTS).ints
        if len(values) != count:
            raise FileFormatError(f"{self.name}: the attribute '{key}' has {len(values)} numbers, not {count}")
        return [self.within(key, value, low, MOST) for value in values]

    def within(self, key: str, value: int, low: int, high: int) -> int:
        if not low <= value <= high:
            raise FileFormatError(f"{self.name}: the attribute '{key}' is {value}, outside [{low}, {high}]")
        return value

    def attribute(self, key: str, kind: AttributeProto.AttributeType) -> AttributeProto:
        attribute: AttributeProto | None = self.attributes.get(key)
        if attribute is None or attribute.type != kind:
            raise FileFormatError(f"{self.name}: {self.proto.op_type} lacks the attribute '{key}'")
        return attribute
