"""Random graphs of every operator, branches included, against the reference to the last bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BinaryConv2d,
    BinaryDense,
    Conv,
    Flatten,
    Gemm,
    GlobalAveragePool,
    Hardtanh,
    Kind,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Relu,
    Sign,
    Threshold,
    ToReal,
    Value,
)
from bnn_toolchain.errors import Unsupported
from tests.converters.graphs import fused, mixed
from tests.converters.graphs import images as noise

from .agree import agree, images, signs, spec


def reals(rng, *shape):
    """Normal numbers with some zeros of both signs among them."""
    values = rng.normal(size=shape)
    values[rng.random(shape) < 0.1] = 0.0
    values[rng.random(shape) < 0.1] *= 0.0
    return values.astype(np.float32)


def window(rng, shape):
    kernel = tuple(int(rng.integers(1, 4)) for _ in range(2))
    pads = tuple(int(n) for n in rng.integers(0, 3, 4))
    return kernel, tuple(int(n) for n in rng.integers(1, 3, 2)), tuple(int(n) for n in rng.integers(1, 3, 2)), pads


def random_op(rng, value: Value):
    """An operator that may take ``value``; whether its geometry fits is found out later."""
    channels = value.shape[0]
    outputs = int(rng.integers(1, 40))
    flat = len(value.shape) == 1
    integers = value.kind in (Kind.BITS, Kind.ACC)
    choices = []
    if flat:
        choices.append(lambda: BinaryDense(signs(rng, outputs, channels), channels))
    else:
        kernel, strides, dilations, pads = window(rng, value.shape)
        group = int(rng.choice([g for g in (1, 2, 3) if channels % g == 0]))
        wide = group * outputs
        choices.append(
            lambda: BinaryConv2d(
                signs(rng, wide, *kernel, channels // group),
                channels // group,
                strides,
                dilations,
                pads,
                int(rng.integers(0, 2)),
                group,
            )
        )
        choices.append(
            lambda: MaxPool(kernel, strides, tuple(min(p, k - 1) for p, k in zip(pads, kernel * 2, strict=True)))
        )
        if rng.random() < 0.3:
            choices.append(Flatten)
    if integers:
        choices.append(ToReal)
    if value.kind is Kind.ACC:
        choices.append(lambda: Threshold(rng.integers(-30, 30, channels).astype(np.int32), rng.random(channels) < 0.5))
    if value.kind is not Kind.BITS:
        choices.append(lambda: Affine(reals(rng, channels), reals(rng, channels)))
    if value.kind is Kind.REAL:
        choices += [Sign, Relu, Hardtanh, GlobalAveragePool]
        bias = reals(rng, outputs) if rng.random() < 0.5 else None
        if flat:
            choices.append(lambda: Gemm(reals(rng, outputs, channels), bias))
        else:
            weight = reals(rng, wide, channels // group, *kernel)
            bias = reals(rng, wide) if rng.random() < 0.5 else None
            choices.append(lambda: Conv(weight, bias, strides, dilations, pads, group))
    return choices[rng.integers(len(choices))]()


def random_graph(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in (*rng.integers(3, 8, 2), rng.integers(1, 20)))
    first = (
        PixelInput(int(rng.integers(0, 256)))
        if rng.random() < 0.6
        else PixelNormalize(reals(rng, shape[2]), reals(rng, shape[2]) * 100)
    )
    nodes = [Node("n0", first, (INPUT,))]
    values = {"n0": infer("n0", first, (Value(INPUT, Kind.PIXELS, shape),))}
    for index in range(1, int(rng.integers(3, 14))):
        name = f"n{index}"
        inputs = (str(rng.choice(list(values)[-3:])),)
        partners = [n for n, v in values.items() if v.kind is Kind.REAL and v.shape == values[inputs[0]].shape]
        if values[inputs[0]].kind is Kind.REAL and len(partners) > 1 and rng.random() < 0.3:
            op, inputs = Add(), (inputs[0], str(rng.choice(partners)))
        else:
            op = random_op(rng, values[inputs[0]])
        try:
            values[name] = infer(name, op, tuple(values[n] for n in inputs))
        except Unsupported:
            continue
        nodes.append(Node(name, op, inputs))
    if values[nodes[-1].name].kind is not Kind.REAL:
        nodes.append(Node("output", ToReal(), (nodes[-1].name,)))
    return Graph(spec(*shape), tuple(nodes))


@settings(max_examples=250)
@given(st.integers(0, 2**32), st.sampled_from(["random", "plus", "minus"]))
def test_random_graphs(seed, kind):
    graph = random_graph(seed)
    with np.errstate(all="ignore"):
        agree(graph, images(np.random.default_rng(seed), graph.spec.shape, kind))


def test_graphs_with_every_operator():
    for seed in range(10):
        for make in (fused, mixed):
            rng = np.random.default_rng(seed)
            graph = make(rng)
            agree(graph, noise(rng, graph.spec, 3))
