"""Small graphs around one layer, and the comparison of every kernel set with the reference, to the last bit."""

import numpy as np

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    Kind,
    MaxPool,
    PixelInput,
    Threshold,
    ToReal,
    Value,
    pack_bits,
)
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.engines.native.library import NativeSession, load

from .host import expected_kernel_sets, kernel

CHANNELS = [*range(1, 66), 127, 128, 129]
IMAGES = ("random", "plus", "minus", "checkerboard")


def spec(height: int, width: int, channels: int) -> InputSpec:
    return InputSpec(height, width, channels, (1.0,) * channels, (128.0,) * channels, ("a",))


def graph(shape, *ops) -> Graph:
    """A chain of ``ops`` behind pixels of ``shape`` (H, W, C); an output that is not real gets a ToReal."""
    nodes: list[Node] = []
    value = Value(INPUT, Kind.PIXELS, shape)
    for index, op in enumerate(ops):
        nodes.append(Node(f"n{index}", op, (value.name,)))
        value = infer(nodes[-1].name, op, (value,))
    if value.kind is not Kind.REAL:
        nodes.append(Node("output", ToReal(), (value.name,)))
    return Graph(spec(*shape), tuple(nodes))


def bits_of_pixels(channels: int):
    """Two operators that make a pixel from 128 on +1 and a darker one -1."""
    return PixelInput(128), Threshold(np.zeros(channels, np.int32), np.zeros(channels, np.bool_))


def signs(rng, *shape):
    return pack_bits(rng.choice([-1, 1], shape))


def images(rng, shape, kind: str, count: int = 2):
    """uint8 [count, H, W, C]: noise, or images whose bits are all +1, all -1, or alternate."""
    full = (count, *shape)
    match kind:
        case "plus":
            return np.full(full, 255, np.uint8)
        case "minus":
            return np.zeros(full, np.uint8)
        case "checkerboard":
            return (255 * (np.indices(full).sum(0) % 2)).astype(np.uint8)
        case _:
            return rng.integers(0, 256, full, dtype=np.uint8)


def agree(model: Graph, pixels) -> dict[str, NativeSession]:
    """Every kernel set gives the reference's logits and hidden bits; the sessions by kernel set."""
    data = to_bytes(model)
    logits, hidden = run_hidden(model, pixels)
    sessions = {name: load(data, name) for name in expected_kernel_sets()}
    for name, session in sessions.items():
        found, bits = session.run_hidden(pixels)
        assert list(bits) == list(hidden)
        for layer in hidden:
            np.testing.assert_array_equal(bits[layer], hidden[layer], f"{name}, {layer}")
        assert found.dtype == np.float32
        assert found.shape == logits.shape
        np.testing.assert_array_equal(bits_of(found), bits_of(logits), name)
    return sessions


def bits_of(reals):
    """float32 as its bits, every NaN the same."""
    return np.where(np.isnan(reals), np.uint32(0x7FC00000), np.ascontiguousarray(reals).view(np.uint32))


def check_kernel(sessions, node: str, method: str, outputs: int = 1) -> None:
    """In every session ``node`` ran on the set's kernel for ``method`` and so many outputs."""
    for name, session in sessions.items():
        kernels = {n.name: n.kernel for n in session.nodes}
        assert kernels[node] == kernel(method, name, outputs)


def bits_method(conv: BinaryConv2d, output: tuple[int, int], pool: MaxPool | None = None) -> str:
    """How a convolution of bits with ``output`` rows and columns should be computed: straight to its result where a
    window's counts fit 16 bits, groups are whole bytes, and what is pooled are squares that do not overlap."""
    outputs, height, width = len(conv.weight) // conv.group, *conv.weight.shape[1:3]
    groups = conv.group == 1 or (conv.in_channels % 8 == 0 and outputs % 8 == 0)
    halves = conv.pad_value == 0 and any(conv.pads) and conv.in_channels % 2 == 1  # of a tap's sum: no whole number
    squares = pool is None or (pool.kernel == pool.strides == (2, 2) and not any(pool.pads))
    fits = height * width * conv.in_channels <= 0x7FFF
    return "direct" if groups and not halves and squares and fits and output != (1, 1) else "bits"
