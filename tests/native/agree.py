"""Small graphs around one layer, and the comparison of every kernel set with the reference, to the last bit."""

import numpy as np

from bnn_toolchain.converters.graph import INPUT, Graph, Node
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.converters.ops import Kind, PixelInput, Threshold, ToReal, pack_bits
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.runtime.engines.native import NativeSession, kernel_sets, load

CHANNELS = [*range(1, 66), 127, 128, 129]
IMAGES = ("random", "plus", "minus", "checkerboard")


def spec(height: int, width: int, channels: int) -> InputSpec:
    return InputSpec(height, width, channels, (1.0,) * channels, (128.0,) * channels, ("a",))


def graph(shape, *ops, decided="") -> Graph:
    """A chain of ``ops`` behind pixels of ``shape`` (H, W, C); an output that is not real gets a ToReal."""
    names = [INPUT, *(f"n{i}" for i in range(len(ops)))]
    nodes = [Node(names[i + 1], op, (names[i],)) for i, op in enumerate(ops)]
    draft = _Draft(nodes, shape)
    if draft.kind is not Kind.REAL:
        nodes.append(Node("output", ToReal(), (nodes[-1].name,)))
    return Graph(spec(*shape), tuple(nodes), decided)


class _Draft:
    """The kind of the last value of nodes that are not yet a whole graph."""

    def __init__(self, nodes, shape):
        from bnn_toolchain.converters.ops import Value, infer

        values = {INPUT: Value(INPUT, Kind.PIXELS, shape)}
        for node in nodes:
            values[node.name] = infer(node.name, node.op, tuple(values[name] for name in node.inputs))
        self.kind = values[nodes[-1].name].kind


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
    sessions = {name: load(data, name) for name in kernel_sets()}
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


def check_kernel(sessions, node: str, method: str) -> None:
    """In every session ``node`` ran on the kernel "method set"."""
    for name, session in sessions.items():
        kernels = {n.name: n.kernel for n in session.nodes}
        assert kernels[node] == f"{method} {name}"
