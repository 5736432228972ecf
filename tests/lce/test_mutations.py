"""Damaged files end in a typed error or in a graph, in bounded time and memory: 20,000 of them, from both writers."""

import contextlib
import struct
import time
import tracemalloc

import numpy as np
import pytest

from bnn_toolchain.converters import lce
from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Affine,
    BinaryConv2d,
    BinaryConv2dThreshold,
    BinaryDense,
    Flatten,
    PixelInput,
    ToReal,
)
from bnn_toolchain.errors import BnntError, FileFormatError
from bnn_toolchain.input_spec import InputSpec

from .foreign import File, window
from .layers import threshold, weights

MUTATIONS, SHARES = 20_000, 4
SECONDS, BYTES = 1.0, 8 << 20  # for files of a few kilobytes


def ours(rng):
    conv = BinaryConv2d(weights(rng, 3, 2, 2, 1), 1, pads=(1, 0, 0, 1))
    nodes = (
        Node("input", PixelInput(3), ("pixels",)),
        Node("conv", BinaryConv2dThreshold(conv, threshold(rng, 3, 4)), ("input",)),
        Node("flat", Flatten(), ("conv",)),
        Node("dense", BinaryDense(weights(rng, 2, 12), 12), ("flat",)),
        Node("logits", Affine(np.ones(2, np.float32), np.zeros(2, np.float32)), ("dense",)),
    )
    return lce.to_bytes(Graph(InputSpec(2, 2, 1, (1.0,), (3.0,), ("a", "b")), nodes))


def theirs(rng):
    file = File(1, 2, 2, 2)
    x = file.bconv(rng, file.quantize(0), 2, 3, 2, 1, 0, 1)
    x = file.op("LceBMaxPool2d", [file.quantize(x)], 1, 1, 1, 1, kind="INT32", padding=0, **window("height", "width"))
    file.bconv(rng, x, 3, 2, 1, 1, 1, 0)
    return file.data()


def mutate(rng, data):
    """A few bytes or words changed, a piece repeated, or an end cut off."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(len(damaged)))
        match rng.integers(6):
            case 0 | 1:
                damaged[place] = int(rng.integers(256))
            case 2 | 3:
                word = int(rng.choice([0, 1, -1, 2**31 - 1, -(2**31), int(rng.integers(-200, 200))]))
                place = place // 4 * 4
                damaged[place : place + 4] = struct.pack("<i", word)
            case 4:
                source = int(rng.integers(len(damaged)))
                damaged[place : place + 16] = damaged[source : source + 16]
            case _:
                if rng.random() < 0.2:
                    del damaged[max(1, place) :]
    return bytes(damaged) or b"\0"


@pytest.mark.parametrize("share", range(SHARES))
def test_mutations_end_in_a_typed_error_or_a_graph(share):
    rng = np.random.default_rng(share)
    originals = [ours(rng), theirs(rng)]
    for data in originals:
        lce.from_bytes(data)
    survivors = slowest = 0
    for step in range(MUTATIONS // SHARES):
        data = mutate(rng, originals[step % 2])
        start = time.process_time()
        try:
            lce.from_bytes(data)
            survivors += 1
        except BnntError as error:
            assert str(error)
        slowest = max(slowest, time.process_time() - start)
    assert survivors > 0
    assert slowest < SECONDS


def test_mutations_take_bounded_memory():
    rng = np.random.default_rng(99)
    originals = [ours(rng), theirs(rng)]
    largest = 0
    for step in range(600):
        data = mutate(rng, originals[step % 2])
        tracemalloc.start()
        with contextlib.suppress(BnntError):
            lce.from_bytes(data)
        largest = max(largest, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert largest < BYTES


def bomb(levels, fan):
    """A model whose subgraph vector names one subgraph ``fan`` times, whose tensors are one tensor ``levels`` times."""
    out = bytearray(b"\0" * 8)
    out[4:8] = b"TFL3"

    def table(slots):
        """Vtable, table with one offset for each slot, to be patched."""
        start = len(out)
        size = 4 + 4 * len(slots)
        out.extend(struct.pack("<HH", 4 + 2 * (max(slots) + 1), size))
        for slot in range(max(slots) + 1):
            out.extend(struct.pack("<H", 4 + 4 * slots.index(slot) if slot in slots else 0))
        out.extend(b"\0" * (-len(out) % 4))
        place = len(out)
        out.extend(struct.pack("<i", place - start) + b"\0" * (4 * len(slots)))
        return place

    def patch(place, target):
        out[place : place + 4] = struct.pack("<I", target - place)

    model = table([0, 2])
    out[0:4] = struct.pack("<I", model)
    out[model + 4 : model + 8] = struct.pack("<I", 3)
    count = len(out)
    patch(model + 8, count)
    out.extend(struct.pack("<I", fan) + b"\0" * (4 * fan))
    subgraph = table([0])
    for i in range(fan):
        patch(count + 4 + 4 * i, subgraph)
    tensors = len(out)
    patch(subgraph + 4, tensors)
    out.extend(struct.pack("<I", levels) + b"\0" * (4 * levels))
    tensor = table([0])
    for i in range(levels):
        patch(tensors + 4 + 4 * i, tensor)
    shape = len(out)
    patch(tensor + 4, shape)
    out.extend(struct.pack("<I", 4 * levels) + b"\1\0\0\0" * 4 * levels)
    return bytes(out)


def test_parts_that_point_at_each_other_do_not_multiply():
    data = bomb(2000, 2000)
    start = time.process_time()
    with pytest.raises(FileFormatError, match="without end"):
        lce.from_bytes(data)
    assert time.process_time() - start < 5


def test_millions_of_tensors_that_are_not_there():
    data = bytearray(ours(np.random.default_rng(0)))
    for place in range(8, len(data) - 4, 4):
        data[place : place + 4] = struct.pack("<I", 50_000_000)
        with pytest.raises(BnntError):
            lce.from_bytes(bytes(data))


def foreign(shape, *steps):
    """A file that declares images of ``shape``; each step adds operators to it."""
    file = File(1, *shape)
    x = 0
    for step in steps:
        x = step(file, x)
    return file.data()


def scaled(file, x):
    """One number for all channels: four bytes in the file."""
    return file.op("MUL", [x, file.constant(np.ones(1, np.float32))], *file.shape(x))


def flattened(file, x):
    features = int(np.prod(file.shape(x)))
    return file.op("RESHAPE", [x, file.constant(np.array([1, -1], np.int32))], 1, features)


def zero_padded(file, x):
    weight = file.constant(np.zeros((2, 5, 5, 1), np.int32))
    ones = file.constant(np.ones(2, np.float32))
    options = dict.fromkeys(("dilation_height_factor", "dilation_width_factor", "stride_height", "stride_width"), 1)
    options |= {"channels_in": file.shape(x)[3], "padding": 0, "pad_values": 0, "fused_activation_function": 0}
    shape = (*file.shape(x)[:3], 2)
    y = file.op("LceBconv2d", [file.quantize(x), weight, ones, ones, -1], *shape, **options)
    return file.op("LceDequantize", [file.quantize(y)], *shape)


@pytest.mark.parametrize(
    "data",
    [
        foreign((1, 1, 1 << 30)),
        foreign((1 << 30, 1, 1), scaled),
        foreign((1, 1, 4096), *[scaled] * 400),
        foreign((4000, 4000, 3), flattened, scaled, scaled),
        foreign((1 << 13, 1 << 13, 1), zero_padded),
        foreign((1 << 13, 1 << 12, 1), *[zero_padded] * 9),
    ],
)
def test_sizes_that_a_file_only_declares_cost_nothing(data):
    assert len(data) < 100_000
    tracemalloc.start()
    start = time.process_time()
    with contextlib.suppress(BnntError):
        lce.from_bytes(data)
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest < 16 << 20
    assert time.process_time() - start < 10


def test_a_description_that_declares_a_large_image_costs_nothing():
    rng = np.random.default_rng(0)
    nodes = [
        Node("input", PixelInput(3), ("pixels",)),
        Node(
            "first", BinaryConv2dThreshold(BinaryConv2d(weights(rng, 3, 1, 1, 1), 1), threshold(rng, 3, 4)), ("input",)
        ),
        Node("zero", BinaryConv2d(weights(rng, 2, 3, 3, 3), 3, pads=(1, 1, 1, 1)), ("first",)),
        Node("flat", Flatten(), ("zero",)),
    ]
    side = 4000
    graph = Graph(
        InputSpec(side, side, 1, (1.0,), (3.0,), ("a",)),
        (*nodes, Node("out", ToReal(), ("flat",))),
    )
    tracemalloc.start()
    with pytest.raises(BnntError, match="zero padding would take constants"):
        lce.to_bytes(graph)
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest < 16 << 20
