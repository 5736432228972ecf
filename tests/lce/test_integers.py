"""Float arithmetic between binary layers becomes integer thresholds only where no bit changes."""

import numpy as np
import pytest

from bnn_toolchain.converters import lce, onnx
from bnn_toolchain.converters.graph.ops import Gemm
from bnn_toolchain.converters.graph.real_ops import BorderCorrection, OutputTransform, border
from bnn_toolchain.converters.lce.format.container import decode
from bnn_toolchain.converters.lce.format.geometry import same_pads
from bnn_toolchain.converters.lce.read.importer import import_graph
from bnn_toolchain.converters.lce.read.integers import IMAGE, integers, places
from bnn_toolchain.converters.reference import run_hidden

from .foreign import File, affine, network, window


def chain(rng, zero, pooled, flat, ties):
    """Bits, a binary convolution, its float output pooled and normalised, bits again."""
    file = File(1, 7, 6, 3)
    x = file.bconv(rng, file.quantize(affine(file, rng, 0)), 3, 24, 1, 1, 1, 0, bits=True)
    x = file.bconv(rng, x, 24, 40, int(rng.integers(1, 5)), int(rng.integers(1, 3)), 0, int(not zero))
    if ties:  # integers out of the convolution, and batch norms that are 0 at one of them
        for index, values in zip(file.operators[-1].inputs[2:4], (1.0, 0.0), strict=True):
            file.tensors[index].data[:] = values
    if pooled:
        _, height, width, _ = file.shape(x)
        x = file.op("MAX_POOL_2D", [x], 1, height // 2, width // 2, 40, padding=1, **window("h", "w"))
    x = affine(file, rng, x)
    if ties:
        scale, offset = (file.tensors[op.inputs[1]].data for op in file.operators[-2:])
        offset[:] = -scale * rng.integers(-6, 7, 40)
        scale[::9], offset[::9] = 0, rng.choice([-1, 0, 1], len(offset[::9]))
    shape = file.shape(x)
    if flat:
        count = int(np.prod(shape))
        x = file.op("RESHAPE", [x, file.constant(np.array([1, count], np.int32))], 1, count)
    x = file.quantize(x)
    file.op("LceDequantize", [x], *(file.shape(x)[:-1]), count if flat else 40)
    return file


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_no_bit_changes(zero, pooled, flat):
    decided = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        data = chain(rng, zero, pooled, flat, ties=bool(seed % 2)).data()
        before, _ = import_graph(decode(data), len(data))
        after = integers(before)
        images = rng.integers(0, 256, (40, *before.spec.shape), dtype=np.uint8)
        expected, found = run_hidden(before, images)[1], run_hidden(after, images)[1]
        for name, bits in expected.items():
            np.testing.assert_array_equal(found[name], bits, f"{seed}: {name}")
        left = [node for node in after.nodes if isinstance(node.op, OutputTransform | BorderCorrection)]
        assert not left or zero
        decided += not left
        assert any(name.endswith(IMAGE) for name in found) == (flat and not left)
    assert decided >= 6


def test_a_network_of_lces_converter_becomes_one_for_every_engine():
    graph = lce.from_bytes(network(np.random.default_rng(0)).data())
    nodes = [node for node in graph.nodes if not isinstance(node.op, OutputTransform)]
    last = max(i for i, node in enumerate(nodes) if isinstance(node.op, Gemm))
    headless = graph.replace(nodes[: last + 1])
    assert onnx.from_bytes(onnx.to_bytes(headless)).hidden_bits() == graph.hidden_bits()


def test_the_places_of_a_large_image_are_those_of_a_small_one():
    rng = np.random.default_rng(0)
    for _ in range(200):
        kernel, strides, dilations = (tuple(int(v) for v in rng.integers(1, high, 2)) for high in (6, 4, 3))
        size = tuple(int(v) for v in rng.integers(5, 60, 2))
        pads = same_pads((1, *size), kernel, strides, dilations)
        sums = rng.integers(-9, 10, (3, *kernel)).astype(np.int32)
        op = BorderCorrection(sums, np.ones(3, np.float32), size, strides, dilations, pads)
        whole = border(sums, size, strides, dilations, pads).reshape(-1, 3)
        np.testing.assert_array_equal(np.unique(np.concatenate(list(places(op))), axis=0), np.unique(whole, axis=0))
