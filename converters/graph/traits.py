"""What passes, files and reports ask of an operator, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BatchNorm,
    Bias,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDenseThreshold,
    Divide,
    Hardtanh,
    Op,
    PixelNormalize,
    PRelu,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
)
from bnn_toolchain.converters.graph.real_ops import Clamp, OutputTransform

Array = NDArray[np.generic]

# One number of each array belongs to one channel.
PER_CHANNEL = (Affine, BatchNorm, Bias, Divide, OutputTransform, PixelNormalize, PRelu, Scale, Threshold)


def channel_arrays(op: Op) -> dict[str, Array]:
    """The parameters (C,) of an operator that has one set for each channel, by field; of others none."""
    if not isinstance(op, PER_CHANNEL):
        return {}
    values = {field.name: getattr(op, field.name) for field in fields(op)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def with_channel_arrays(op: Op, change: Callable[[Array], Array]) -> Op:
    """The same operator with every array of :func:`channel_arrays` changed."""
    changed: dict[str, Any] = {name: change(array) for name, array in channel_arrays(op).items()}
    return replace(op, **changed) if changed else op


def is_elementwise(op: Op) -> bool:
    """Whether each number of the result depends on the numbers at the same place of the inputs, and on the channel."""
    return isinstance(
        op,
        Add | Affine | BatchNorm | Bias | Clamp | Divide | Hardtanh | PRelu | Relu | Scale | Sign | Threshold | ToReal,
    )


def never_decreases(op: Op) -> bool:
    """Whether a larger input never gives a smaller result, rounding included: then it commutes with a maximum."""
    match op:
        case ToReal() | Bias() | Relu() | Hardtanh() | Clamp():
            return True
        case Scale(factor) | Divide(factor):
            return bool(np.all(factor > 0))
        case PRelu(slope):
            return bool(np.all(slope >= 0))
        case _:
            return False


def parts(op: Op) -> tuple[Op, ...]:
    """The operators that a fused one is made of, in order; others are their only part."""
    match op:
        case BinaryConv2dThreshold(conv, threshold):
            return conv, threshold
        case BinaryConv2dMaxPoolThreshold(conv, pool, threshold):
            return conv, pool, threshold
        case BinaryDenseThreshold(dense, threshold):
            return dense, threshold
        case _:
            return (op,)
