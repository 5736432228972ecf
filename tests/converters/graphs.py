"""Small graphs made by hand: between them they hold every operator that a file can have."""

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

SPEC = InputSpec(9, 7, 3, (1 / 128,) * 3, (128.0,) * 3, ("cat", "dog", "Käse", "d"))


def packed(rng, *shape):
    return pack_bits(rng.choice([-1, 1], shape))


def threshold(rng, channels, reach=20):
    tau = rng.integers(-reach, reach, channels).astype(np.int32)
    tau[rng.random(channels) < 0.1] = ALWAYS
    return Threshold(tau, rng.random(channels) < 0.5)


def affine(rng, channels):
    return Affine(rng.normal(size=channels).astype(np.float32), rng.normal(size=channels).astype(np.float32))


def chain(spec, *steps):
    """A graph without branches from (name, op) pairs."""
    names = [INPUT, *(name for name, _ in steps)]
    return Graph(spec, tuple(Node(name, op, (names[i],)) for i, (name, op) in enumerate(steps)), "torch 2.13.0")


def fused(rng):
    """Every fused function, grouped and dilated convolutions, uneven pads."""
    return chain(
        SPEC,
        ("input", PixelInput(128)),
        (
            "first",
            BinaryConv2dThreshold(
                BinaryConv2d(packed(rng, 18, 3, 3, 3), 3, pads=(1, 1, 1, 1)), threshold(rng, 18, 900)
            ),
        ),
        (
            "second",
            BinaryConv2dMaxPoolThreshold(
                BinaryConv2d(packed(rng, 6, 3, 2, 9), 9, (2, 1), (1, 2), (2, 1, 0, 1), 1, 2),
                MaxPool((2, 3), (1, 2), (1, 0, 0, 1)),
                threshold(rng, 6),
            ),
        ),
        ("third", BinaryConv2d(packed(rng, 11, 1, 1, 6), 6, pads=(0, 1, 2, 0))),
        ("third.pool", MaxPool((2, 2), (2, 2))),
        ("third.sign", threshold(rng, 11)),
        ("flat", Flatten()),
        ("dense", BinaryDenseThreshold(BinaryDense(packed(rng, 13, 66), 66), threshold(rng, 13))),
        ("head", BinaryDense(packed(rng, 4, 13), 13)),
        ("logits", affine(rng, 4)),
    )


def mixed(rng):
    """Float layers, a branch, signs of reals, binary layers that read reals."""
    scale, offset = (rng.random(3).astype(np.float32) + 0.1, rng.normal(size=3).astype(np.float32) * 100)
    weight = rng.normal(size=(6, 3, 3, 3)).astype(np.float32)
    grouped = rng.normal(size=(6, 2, 3, 3)).astype(np.float32)
    nodes = (
        Node("input", PixelNormalize(scale, offset), (INPUT,)),
        Node("conv", Conv(weight, rng.normal(size=6).astype(np.float32), pads=(1, 1, 1, 1)), ("input",)),
        Node("norm", affine(rng, 6), ("conv",)),
        Node("relu", Relu(), ("norm",)),
        Node("real", BinaryConv2d(packed(rng, 6, 3, 3, 6), 6, pads=(1, 1, 1, 1), pad_value=1), ("relu",)),
        Node("tanh", Hardtanh(), ("real",)),
        Node("sum", Add(), ("tanh", "norm")),
        Node("grouped", Conv(grouped, None, (2, 1), (1, 2), (1, 2, 1, 2), 3), ("sum",)),
        Node("sign", Sign(), ("grouped",)),
        Node("bits", BinaryConv2d(packed(rng, 5, 2, 2, 6), 6), ("sign",)),
        Node("bits.real", ToReal(), ("bits",)),
        Node("mean", GlobalAveragePool(), ("bits.real",)),
        Node("flat", Flatten(), ("mean",)),
        Node("dense", BinaryDense(packed(rng, 9, 5), 5), ("flat",)),
        Node(
            "logits",
            Gemm(rng.normal(size=(4, 9)).astype(np.float32), rng.normal(size=4).astype(np.float32)),
            ("dense",),
        ),
    )
    return Graph(SPEC, nodes)


def images(rng, spec, count):
    return rng.integers(0, 256, (count, *spec.shape), dtype=np.uint8)
