"""Three graphs with every operator of a file, whose every number is made here, by arithmetic that no library changes.

Reals are multiples of powers of two and so few that every sum is exact: all engines agree, whatever their order.
"""

import numpy as np

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
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
    Hardtanh,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Relu,
    Sign,
    Threshold,
    ToReal,
    pack_bits,
)
from bnn_toolchain.input_spec import InputSpec

from .graphs import chain

SPEC = InputSpec(5, 9, 3, (1 / 128,) * 3, (128.0,) * 3, ("cat", "dog", "Käse"))


def numbers(*shape):
    """Whole numbers from -50 to 50 in an order without a pattern that a layout could hide in."""
    index = np.arange(np.prod(shape), dtype=np.int64)
    return ((index * index * 31 + index * 17) % 101 - 50).reshape(shape)


def weights(*shape):
    return pack_bits(np.where(numbers(*shape) < 0, -1, 1))


def threshold(channels, reach):
    tau = (numbers(channels) * reach // 50).astype(np.int32)
    tau[channels // 2] = ALWAYS
    return Threshold(tau, numbers(channels) % 3 == 0)


def reals(*shape):
    """Multiples of 1/4 from -1/2 to 1/2."""
    return (numbers(*shape) // 25 / 4).astype(np.float32)


def affine(channels):
    return Affine(reals(channels), reals(channels)[::-1].copy())


def dense():
    return chain(
        SPEC,
        ("input", PixelInput(128)),
        ("flat", Flatten()),
        ("first", BinaryDenseThreshold(BinaryDense(weights(37, 135), 135), threshold(37, 900))),
        ("second", BinaryDense(weights(20, 37), 37)),
        ("second.sign", threshold(20, 9)),
        ("head", BinaryDense(weights(3, 20), 20)),
        ("logits", affine(3)),
    )


def convolutional():
    first = BinaryConv2d(weights(32, 3, 3, 3), 3, pads=(1, 1, 1, 1), pad_value=0)
    second = BinaryConv2d(weights(40, 3, 2, 32), 32, (1, 1), (1, 2), (1, 1, 1, 1), pad_value=1)
    return chain(
        SPEC,
        ("input", PixelInput(100)),
        ("first", BinaryConv2dThreshold(first, threshold(32, 900))),
        ("second", BinaryConv2dMaxPoolThreshold(second, MaxPool((2, 2), (1, 2)), threshold(40, 30))),
        ("third", BinaryConv2d(weights(12, 3, 1, 40), 40, (2, 1), pads=(0, 1, 2, 0))),
        ("third.pool", MaxPool((2, 2), (2, 1))),
        ("third.sign", threshold(12, 9)),
        ("flat", Flatten()),
        ("head", BinaryDense(weights(3, 48), 48)),
        ("logits", affine(3)),
    )


def real():
    nodes = (
        Node("input", PixelNormalize(np.full(3, 1 / 128, np.float32), np.array([127, 128, 130], np.float32)), (INPUT,)),
        Node("conv", Conv(reals(8, 3, 3, 3), reals(8), pads=(1, 1, 1, 1)), ("input",)),
        Node("norm", affine(8), ("conv",)),
        Node("relu", Relu(), ("norm",)),
        Node("binary", BinaryConv2d(weights(8, 3, 3, 8), 8, pads=(1, 1, 1, 1), pad_value=1), ("relu",)),
        Node("tanh", Hardtanh(), ("binary",)),
        Node("sum", Add(), ("tanh", "norm")),
        Node("sign", Sign(), ("sum",)),
        Node("bits", BinaryConv2d(weights(5, 2, 2, 8), 8), ("sign",)),
        Node("bits.real", ToReal(), ("bits",)),
        Node("mean", GlobalAveragePool(), ("bits.real",)),
        Node("flat", Flatten(), ("mean",)),
        Node("logits", Gemm(reals(3, 5), reals(3)), ("flat",)),
    )
    return Graph(SPEC, nodes)


GRAPHS = {"dense": dense, "convolutional": convolutional, "real": real}
