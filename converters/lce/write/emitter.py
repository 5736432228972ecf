"""Tensors and operators of a .tflite file, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.ops import BinaryConv2d, Conv, Kind, Value
from bnn_toolchain.converters.lce.format.container import Operator, Tensor
from bnn_toolchain.converters.lce.format.geometry import Pads

WORD = 32


@dataclass(frozen=True)
class Construction:
    """What stands in the file for a node that LCE has no operator for: exact, but not always free."""

    node: str
    how: str


class Emitter:
    """The file so far; every method returns the index of the tensor that it adds."""

    def __init__(self, pixels: Tensor, most_borders: int) -> None:
        self.tensors: list[Tensor] = [pixels]
        self.operators: list[Operator] = []
        self.constructions: list[Construction] = []
        self.borders, self.most_borders = 0, most_borders  # bytes of constants that correct zero padding

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


def words(packed: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Packed bytes (…, B) as LCE's words (…, ceil(B / 4)), the last one filled with zeros."""
    spare = [(0, 0)] * (packed.ndim - 1) + [(0, -packed.shape[-1] % 4)]
    return np.ascontiguousarray(np.pad(packed, spare)).view("<i4").astype(np.int32, copy=False)


def image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the file of a value (C, H, W) or (F,)."""
    return (1, shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, 1, 1, *shape)


def windows(conv: BinaryConv2d | Conv) -> dict[str, int]:
    return {
        "stride_h": conv.strides[0],
        "stride_w": conv.strides[1],
        "dilation_h_factor": conv.dilations[0],
        "dilation_w_factor": conv.dilations[1],
    }
