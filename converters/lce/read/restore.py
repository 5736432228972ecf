"""A file that bnnt wrote back into the graph: the description's nodes with the operators' constants.

The file is not trusted: every number is checked here, and the caller writes the graph again and compares.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bnn_toolchain.converters.graph.forms import form_called
from bnn_toolchain.converters.graph.graph import Graph, Node
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
    negated,
    repacked,
)
from bnn_toolchain.converters.lce.format.container import MOST_ELEMENTS, Container
from bnn_toolchain.converters.lce.format.describe import FORMAT, KEY
from bnn_toolchain.converters.lce.format.limits import EVER, NEVER, from_limits, from_offsets
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.files import read_json
from bnn_toolchain.input_spec import InputSpec

Json = dict[str, Any]


def restore(container: Container) -> Graph:
    """The graph of a file that :func:`bnn_toolchain.converters.lce.to_bytes` made.

    Raises:
        FileFormatError: the description is damaged, or a constant is not what it says.
        Unsupported: an operator gets what it does not take.
    """
    try:
        text = read_json(container.metadata[KEY])
        if text["format"] != FORMAT:
            raise FileFormatError(f"format {text['format']!r} of bnnt, this version reads {FORMAT}: export again")
        spec, decided_by = InputSpec.from_json(text["input"]), str(text["decided_by"])
        nodes = [(str(raw["name"]), tuple(str(name) for name in raw["inputs"]), dict(raw)) for raw in text["nodes"]]
    except FileFormatError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, UsageError) as error:
        raise FileFormatError(f"the metadata '{KEY}' is damaged: {error!r}") from error
    if len({name for name, _, _ in nodes}) < len(nodes):
        raise FileFormatError(f"the metadata '{KEY}' is damaged: two nodes have one name")
    tensors = {t.name: t for t in container.tensors}
    constants = {name: t.data for name, t in tensors.items() if t.data is not None}
    shapes = {name: t.shape for name, t in tensors.items()}
    return Graph(spec, tuple(Node(n, _Restorer(n, constants, shapes).op(raw), i) for n, i, raw in nodes), decided_by)


class _Restorer:
    """One node: its constants by their short names, and its attributes."""

    def __init__(self, name: str, constants: dict[str, NDArray[Any]], shapes: dict[str, tuple[int, ...]]) -> None:
        self.name = name
        self.constants = constants
        self.shapes = shapes

    def op(self, raw: Json) -> Op:
        form = form_called(str(raw.get("op")))
        if form is not None:
            op: Op = form.op(*(self.array(field, np.float32, 1) for field in form.arrays))
            return op
        match raw.get("op"):
            case "PixelInput":
                return PixelInput(self.integer(raw, "offset", 0, 255))
            case "PixelNormalize":
                return PixelNormalize(self.array("scale", np.float32, 1), self.array("offset", np.float32, 1))
            case "BinaryConv2d":
                return self.conv(raw, None)
            case "BinaryDense":
                return self.dense(raw, None)
            case "BinaryConv2dThreshold":
                return BinaryConv2dThreshold(*self.fused(raw, pooled=False))
            case "BinaryConv2dMaxPoolThreshold":
                conv, threshold = self.fused(raw, pooled=True)
                return BinaryConv2dMaxPoolThreshold(conv, self.pool(self.part(raw, "pool")), threshold)
            case "BinaryDenseThreshold":
                layer = self.part(raw, "dense")
                threshold, negative = self.threshold(
                    self.part(raw, "threshold"), self.integer(layer, "in_features", 1, MOST_ELEMENTS), pooled=False
                )
                return BinaryDenseThreshold(self.dense(layer, negative), threshold)
            case "MaxPool":
                return self.pool(raw)
            case "Flatten":
                return Flatten()
            case "Threshold":
                offset = self.array("offset", np.float32, 1)
                flip = self.bits(raw, "flip", len(offset))
                return Threshold(from_offsets(offset, flip), flip)
            case "Affine":
                return Affine(self.array("scale", np.float32, 1), self.array("offset", np.float32, 1))
            case "Hardtanh":
                return Hardtanh()
            case "Gemm":
                return Gemm(self.array("weight", np.float32, 2), self.optional("bias"))
            case "Conv":
                weight = np.ascontiguousarray(self.array("weight", np.float32, 4).transpose(0, 3, 1, 2))
                geometry = self.pair(raw, "strides"), self.pair(raw, "dilations"), self.pads(raw)
                return Conv(weight, self.optional("bias"), *geometry, self.integer(raw, "group", 1, MOST_ELEMENTS))
            case kind:
                raise FileFormatError(f"{self.name}: {kind!r} is not an operator that bnnt writes")

    def fused(self, raw: Json, pooled: bool) -> tuple[BinaryConv2d, Threshold]:
        layer = self.part(raw, "conv")
        taps = self.integer(layer, "in_channels", 1, MOST_ELEMENTS) * prod(self.filter()[1:3])
        threshold, negative = self.threshold(self.part(raw, "threshold"), taps, pooled)
        return self.conv(layer, negative), threshold

    def threshold(self, raw: Json, taps: int, pooled: bool) -> tuple[Threshold, NDArray[np.bool_]]:
        """The threshold, and the channels whose weights are negated in the file."""
        outputs = self.filter()[0]
        flip, odd = self.bits(raw, "flip", outputs), self.bits(raw, "odd", outputs)
        if self.has("limit"):
            limit = self.array("limit", np.int32, 1, outputs)
            applied = np.zeros_like(flip) if pooled else flip
            return Threshold(from_limits(limit, odd, applied, taps), flip), applied & (limit != EVER) & (limit != NEVER)
        if self.has("offset"):
            return Threshold(from_offsets(self.array("offset", np.float32, 1, outputs), flip), flip), np.zeros_like(
                flip
            )
        threshold = Threshold(from_offsets(self.array("bias", np.float32, 1, outputs), flip), flip)
        return threshold, flip if self.unpacked() else np.zeros_like(flip)

    def conv(self, raw: Json, negative: NDArray[np.bool_] | None) -> BinaryConv2d:
        in_channels = self.integer(raw, "in_channels", 1, MOST_ELEMENTS)
        return BinaryConv2d(
            self.weight(in_channels, negative),
            in_channels,
            self.pair(raw, "strides"),
            self.pair(raw, "dilations"),
            self.pads(raw),
            self.integer(raw, "pad_value", 0, 1),
            self.integer(raw, "group", 1, MOST_ELEMENTS),
        )

    def dense(self, raw: Json, negative: NDArray[np.bool_] | None) -> BinaryDense:
        in_features = self.integer(raw, "in_features", 1, MOST_ELEMENTS)
        weight = self.weight(in_features, negative)
        return BinaryDense(weight.reshape(len(weight), -1), in_features)

    def pool(self, raw: Json) -> MaxPool:
        return MaxPool(self.pair(raw, "kernel"), self.pair(raw, "strides"), self.pads(raw))

    def unpacked(self) -> bool:
        """Whether the layer is a float convolution over weights that are unpacked in each run."""
        return f"{self.name}/filter" in self.shapes

    def filter(self) -> tuple[int, ...]:
        """The filter's shape in the file: (O, kh, kw, channels or words)."""
        shape = self.shapes[f"{self.name}/filter"] if self.unpacked() else self.array("weight", np.int32, 4).shape
        if len(shape) != 4 or not all(shape):
            raise FileFormatError(f"{self.name}: its weights have the shape {list(shape)}")
        return shape

    def weight(self, in_channels: int, negative: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
        """uint8 (O, kh, kw, ceil(I / 8))."""
        outputs, height, width, last = self.filter()
        count = height * width * in_channels if self.unpacked() else in_channels
        words = self.array("weight", np.int32, 2 if self.unpacked() else 4)
        if words.shape[-1] != -(-count // 32) or (self.unpacked() and (last, len(words)) != (in_channels, outputs)):
            raise FileFormatError(f"{self.name}: {list(words.shape)} words of weights for {in_channels} channels")
        packed = np.ascontiguousarray(words, "<i4").view(np.uint8)
        if self.unpacked():
            weight = repacked(packed, count, (outputs, height, width, in_channels))
        else:
            weight = np.ascontiguousarray(packed[..., : -(-count // 8)])
        return weight if negative is None else negated(weight, in_channels, negative)

    def has(self, key: str) -> bool:
        return f"{self.name}/{key}" in self.constants

    def optional(self, key: str) -> NDArray[np.float32] | None:
        return self.array(key, np.float32, 1) if self.has(key) else None

    def array(self, key: str, dtype: DTypeLike, rank: int, length: int | None = None) -> NDArray[Any]:
        array = self.constants.get(f"{self.name}/{key}")
        if array is None or array.dtype != dtype or array.ndim != rank or length not in (None, len(array)):
            present = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            raise FileFormatError(f"{self.name}: the constant '{key}' is {present}")
        return np.ascontiguousarray(array, dtype)

    def part(self, raw: Json, key: str) -> Json:
        part = raw.get(key)
        if not isinstance(part, dict):
            raise FileFormatError(f"{self.name}: the description lacks '{key}'")
        return part

    def bits(self, raw: Json, key: str, count: int) -> NDArray[np.bool_]:
        try:
            packed = np.frombuffer(bytes.fromhex(raw[key]), np.uint8)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{self.name}: '{key}' in the description is not hexadecimal") from error
        if len(packed) != -(-count // 8):
            raise FileFormatError(f"{self.name}: '{key}' in the description has {len(packed)} bytes for {count} bits")
        return np.unpackbits(packed, count=count, bitorder="little").astype(np.bool_)

    def pair(self, raw: Json, key: str) -> tuple[int, int]:
        first, second = self.integers(raw, key, 2, 1)
        return first, second

    def pads(self, raw: Json) -> tuple[int, int, int, int]:
        top, left, bottom, right = self.integers(raw, "pads", 4, 0)
        return top, left, bottom, right

    def integers(self, raw: Json, key: str, count: int, low: int) -> list[int]:
        values = raw.get(key)
        if not isinstance(values, list) or len(values) != count:
            raise FileFormatError(f"{self.name}: '{key}' in the description is {values!r}, not {count} numbers")
        return [self.integer({key: value}, key, low, MOST_ELEMENTS) for value in values]

    def integer(self, raw: Json, key: str, low: int, high: int) -> int:
        value = raw.get(key)
        if type(value) is not int or not low <= value <= high:
            raise FileFormatError(f"{self.name}: '{key}' in the description is {value!r}, outside [{low}, {high}]")
        return value
