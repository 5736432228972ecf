"""Networks of many branches: each branch is one configuration of a layer on bits, and ends in bits."""

import numpy as np

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
    Affine,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Flatten,
    MaxPool,
    PixelInput,
    Sign,
    Threshold,
    pack_bits,
)
from bnn_toolchain.converters.lce.format.geometry import same_pads
from bnn_toolchain.input_spec import InputSpec

SPEC = InputSpec(9, 8, 2, (1 / 128,) * 2, (128.0,) * 2, ("a", "b", "c"))


def weights(rng, *shape):
    return pack_bits(rng.choice([-1, 1], shape))


def threshold(rng, channels, taps):
    """Batch norms become these: positive, negative and zero scales, ties, and thresholds that nothing reaches."""
    tau = np.round(rng.normal(size=channels) * np.sqrt(taps)).astype(np.int32)
    tau[rng.random(channels) < 0.1] = ALWAYS
    tau[rng.random(channels) < 0.05] = taps + 1
    tau[rng.random(channels) < 0.05] = -taps
    flips = rng.choice([0, 0.5, 1])
    return Threshold(tau, rng.random(channels) < flips)


def branches(seed, count):
    """One graph with ``count`` configurations of convolution, pooling and dense layer."""
    rng = np.random.default_rng(seed)
    nodes = [Node("input", PixelInput(int(rng.integers(256))), (INPUT,))]
    for index in range(count):
        nodes += branch(rng, index)
    flat = Node("flat", Flatten(), ("input",))
    pixels = 2 * SPEC.height * SPEC.width
    return Graph(
        SPEC, (*nodes, flat, Node("logits", BinaryDense(weights(rng, 3, pixels), pixels), ("flat",)), *real(rng))
    )


def real(rng):
    return (
        Node("out", Affine(rng.normal(size=3).astype(np.float32), rng.normal(size=3).astype(np.float32)), ("logits",)),
    )


def branch(rng, index):
    channels = int(rng.integers(1, 131))
    first, name = f"{index}.first", f"{index}.layer"
    nodes = [
        Node(
            first,
            BinaryConv2dThreshold(BinaryConv2d(weights(rng, channels, 1, 1, 2), 2), threshold(rng, channels, 200)),
            ("input",),
        )
    ]
    outputs = int(rng.integers(1, 131))
    kind = rng.integers(5)
    if kind == 0:
        features = channels * SPEC.height * SPEC.width
        dense = BinaryDense(weights(rng, outputs, features), features)
        nodes.append(Node(f"{index}.flat", Flatten(), (first,)))
        nodes.append(Node(name, BinaryDenseThreshold(dense, threshold(rng, outputs, features)), (f"{index}.flat",)))
        return nodes
    conv, shape = convolution(rng, channels, outputs)
    limit = threshold(rng, outputs, conv.weight.shape[1] * conv.weight.shape[2] * conv.in_channels)
    if kind == 1 and min(shape) > 1:
        nodes.append(Node(name, BinaryConv2dMaxPoolThreshold(conv, pooling(rng, shape), limit), (first,)))
    elif kind == 2:
        scale, offset = rng.normal(size=(2, outputs)).astype(np.float32)
        nodes.append(Node(f"{index}.conv", conv, (first,)))
        nodes.append(Node(f"{index}.affine", Affine(scale, offset), (f"{index}.conv",)))
        nodes.append(Node(name, Sign(), (f"{index}.affine",)))
    else:
        nodes.append(Node(name, BinaryConv2dThreshold(conv, limit), (first,)))
        if kind == 3 and min(shape) > 1:
            nodes.append(Node(f"{index}.pool", pooling(rng, shape), (name,)))
    return nodes


def convolution(rng, channels, outputs):
    kernel = tuple(int(k) for k in rng.integers(1, 6, 2))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    dilations = tuple(int(d) if k < 4 else 1 for d, k in zip(rng.integers(1, 3, 2), kernel, strict=True))
    size = (channels, SPEC.height, SPEC.width)
    match rng.integers(4):
        case 0:
            pads = (0, 0, 0, 0)
        case 1:
            pads = same_pads(size, kernel, strides, dilations)
        case 2:
            pads = (kernel[0] // 2, kernel[1] // 2) * 2
        case _:
            pads = tuple(int(p) for p in rng.integers(0, 4, 4))
    conv = BinaryConv2d(
        weights(rng, outputs, *kernel, channels), channels, strides, dilations, pads, int(rng.integers(2))
    )
    shape = []
    for axis in (0, 1):
        room = size[1 + axis] + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1
        if room < 0:
            return convolution(rng, channels, outputs)
        shape.append(room // strides[axis] + 1)
    return conv, shape


def pooling(rng, shape):
    kernel = tuple(int(k) for k in rng.integers(1, 4, 2).clip(max=min(shape)))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    pads = tuple(int(rng.integers(0, k)) for k in kernel * 2) if rng.random() < 0.5 else (0, 0, 0, 0)
    return MaxPool(kernel, strides, pads)
