import numpy as np
import pytest
import torch
from torch.nn import functional

from bnn_toolchain.converters.graph.ops import BinaryConv2d, Conv, MaxPool, unpack_bits
from bnn_toolchain.converters.reference import interpreter, run, run_hidden
from bnn_toolchain.converters.reference.sums import average, binary_conv, max_pool, real_conv, real_dense
from bnn_toolchain.errors import UsageError

from .graphs import SPEC, fused, images, mixed, packed

GEOMETRIES = [
    # strides, dilations, pads (top, left, bottom, right), group
    ((1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((2, 1), (1, 2), (1, 3, 0, 2), 1),
    ((3, 2), (2, 1), (4, 0, 2, 1), 2),
    ((1, 4), (3, 3), (5, 5, 5, 5), 4),
]


def slow_conv(x, weight, bias, strides, dilations, pads, group, outside):
    """One output at a time, one product at a time, in the order ky, kx, channel."""
    n, height, width, _ = x.shape
    outputs, kh, kw, depth = weight.shape
    top, left, bottom, right = pads
    rows = (height + top + bottom - (kh - 1) * dilations[0] - 1) // strides[0] + 1
    columns = (width + left + right - (kw - 1) * dilations[1] - 1) // strides[1] + 1
    y = np.zeros((n, rows, columns, outputs), np.float32)
    for i, r, c, o in np.ndindex(y.shape):
        total = np.float32(0) if bias is None else bias[o]
        first = o // (outputs // group) * depth
        for ky, kx, k in np.ndindex(kh, kw, depth):
            row, column = r * strides[0] + ky * dilations[0] - top, c * strides[1] + kx * dilations[1] - left
            inside = 0 <= row < height and 0 <= column < width
            if inside or outside is not None:
                value = x[i, row, column, first + k] if inside else np.float32(outside)
                total = np.float32(total + np.float32(value * weight[o, ky, kx, k]))
        y[i, r, c, o] = total
    return y


@pytest.mark.parametrize(("strides", "dilations", "pads", "group"), GEOMETRIES)
@pytest.mark.parametrize("pad_value", [0, 1])
def test_sums_are_taken_in_the_fixed_order(strides, dilations, pads, group, pad_value):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 8, 4)).astype(np.float32)
    op = BinaryConv2d(packed(rng, 8, 2, 3, 4 // group), 4 // group, strides, dilations, pads, pad_value, group)
    signs = unpack_bits(op.weight, op.in_channels).astype(np.float32)
    outside = 1 if pad_value else None
    expected = slow_conv(x, signs, None, strides, dilations, pads, group, outside)
    assert binary_conv(op, x, integer=False).tobytes() == expected.tobytes()
    integers = rng.integers(-9, 9, x.shape).astype(np.float32)
    expected = slow_conv(integers, signs, None, strides, dilations, pads, group, outside)
    np.testing.assert_array_equal(binary_conv(op, integers, integer=True), expected)
    weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((8, 2, 3, 4 // group), (8,)))
    float_op = Conv(weight.transpose(0, 3, 1, 2), bias, strides, dilations, pads, group)
    expected = slow_conv(x, weight, bias, strides, dilations, pads, group, None)
    assert real_conv(float_op, x, weight, bias).tobytes() == expected.tobytes()


def test_dense_and_average_sums_go_one_by_one():
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.normal(size=s).astype(np.float32) for s in ((3, 50), (4, 50), (4,)))
    for n, o in np.ndindex(3, 4):
        total = bias[o]
        for feature in range(50):
            total = np.float32(total + np.float32(x[n, feature] * weight[o, feature]))
        assert real_dense(x, weight, bias)[n, o] == total
    image = rng.normal(size=(1, 5, 7, 1)).astype(np.float32)
    total = np.float32(0)
    for value in image.ravel():
        total = np.float32(total + value)
    assert average(image)[0, 0, 0, 0] == np.float32(total * np.float32(np.float32(1) / np.float32(35)))


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 2, 1, 2)])
def test_max_pooling_is_torchs(pads):
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype(np.float32)
    expected = functional.max_pool2d(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), (3, 4), (2, 3), pads[:2])
    np.testing.assert_array_equal(max_pool(MaxPool((3, 4), (2, 3), pads), x).transpose(0, 3, 1, 2), expected.numpy())


@pytest.mark.parametrize("reach", [2**8, 2**15, 2**16, 2**24 - 1])
def test_accumulators_are_exact_up_to_the_limit(reach):
    rng = np.random.default_rng(reach)
    op = BinaryConv2d(packed(rng, 3, 1, 1, 5), 5)
    x = rng.integers(-(reach // 5), reach // 5 + 1, (2, 2, 2, 5))
    expected = x @ unpack_bits(op.weight, 5).astype(np.int64).T.reshape(5, 3)
    np.testing.assert_array_equal(binary_conv(op, x.astype(np.float32), integer=True), expected)


@pytest.mark.parametrize("make", [fused, mixed])
def test_chunks_do_not_change_the_answer(make, monkeypatch):
    rng = np.random.default_rng(0)
    graph = make(rng)
    pixels = images(rng, graph.spec, 7)
    logits, hidden = run_hidden(graph, pixels)
    monkeypatch.setattr(interpreter, "CHUNK_ELEMENTS", 1)
    again, hidden_again = run_hidden(graph, pixels)
    assert logits.tobytes() == again.tobytes()
    assert set(hidden) == set(graph.hidden_bits())
    for name, bits in hidden.items():
        np.testing.assert_array_equal(bits, hidden_again[name])
        shape = graph.values[name].shape
        wide = (shape[0] + 7) // 8
        assert bits.shape == (7, *shape[1:], wide)
    assert run(graph, pixels[:0]).shape == (0, 4)


def test_images_of_another_size_are_refused():
    with pytest.raises(UsageError, match="NHWC"):
        run(fused(np.random.default_rng(0)), np.zeros((1, 3, 9, 7), np.uint8))
    assert SPEC.shape == (9, 7, 3)
