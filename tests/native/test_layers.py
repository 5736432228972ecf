"""Binary layers over bits and over integers, one at a time, against the reference, in every geometry."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Flatten,
    MaxPool,
    PixelInput,
    Threshold,
)
from bnn_toolchain.converters.reference import run

from .agree import CHANNELS, IMAGES, agree, bits_method, bits_of_pixels, check_kernel, graph, images, signs
from .host import integers_method

quick = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def convolutions(draw):
    """A rng, an image shape and a convolution of it: pads may be larger than the image."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    inputs = draw(st.sampled_from(CHANNELS))
    group = draw(st.sampled_from([g for g in (1, 1, 1, 2, 3, 5) if inputs % g == 0]))
    outputs = group * draw(st.sampled_from([1, 2, 3, 7, 8, 16, 17, 33, 130]))  # some sets have another kernel for many
    shape = draw(st.integers(1, 7)), draw(st.integers(1, 9)), inputs
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    dilations = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3]))
    strides = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    pads = [draw(st.integers(0, 3)) for _ in range(4)]
    for axis in (0, 1):  # room for the window, all of it in one pad: beyond the image
        missing = (kernel[axis] - 1) * dilations[axis] + 1 - shape[axis] - pads[axis] - pads[axis + 2]
        pads[axis + draw(st.sampled_from([0, 2]))] += max(0, missing)
    weight = signs(rng, outputs, *kernel, inputs // group)
    return (
        rng,
        shape,
        BinaryConv2d(weight, inputs // group, strides, dilations, tuple(pads), draw(st.integers(0, 1)), group),
    )


def ties(rng, reached, channels):
    """Thresholds at accumulators that are reached, one beyond, and constant ones; half of them flipped."""
    tau = rng.choice(np.unique(reached.astype(np.int32)), channels) + rng.integers(0, 2, channels)
    tau[rng.random(channels) < 0.1] = ALWAYS
    tau[rng.random(channels) < 0.1] = 2**31 - 1
    return Threshold(tau.astype(np.int32), rng.random(channels) < 0.5)


@quick
@given(convolutions(), st.sampled_from(IMAGES))
def test_accumulators_of_bits(case, kind):
    rng, shape, conv = case
    plain, pixels = graph(shape, *bits_of_pixels(shape[2]), conv), images(rng, shape, kind)
    check_kernel(
        agree(plain, pixels), "n2", bits_method(conv, run(plain, pixels).shape[2:]), len(conv.weight) // conv.group
    )


@quick
@given(convolutions(), st.sampled_from(IMAGES))
def test_thresholds_at_accumulators_that_are_reached(case, kind):
    rng, shape, conv = case
    pixels = images(rng, shape, kind)
    plain = graph(shape, *bits_of_pixels(shape[2]), conv)
    sums = run(plain, pixels)
    threshold = ties(rng, sums, len(conv.weight))
    sessions = agree(graph(shape, *bits_of_pixels(shape[2]), BinaryConv2dThreshold(conv, threshold)), pixels)
    check_kernel(sessions, "n2", bits_method(conv, sums.shape[2:]), len(conv.weight) // conv.group)
    agree(graph(shape, *bits_of_pixels(shape[2]), conv, threshold), pixels)


@quick
@given(convolutions(), st.sampled_from(IMAGES), st.data())
def test_pooling_comes_before_the_threshold_and_the_flip(case, kind, data):
    rng, shape, conv = case
    pixels = images(rng, shape, kind)
    plain = graph(shape, *bits_of_pixels(shape[2]), conv)
    sums = run(plain, pixels)
    pool = draw_pool(data, sums.shape[2:])
    fused = BinaryConv2dMaxPoolThreshold(conv, pool, ties(rng, sums, len(conv.weight)))
    sessions = agree(graph(shape, *bits_of_pixels(shape[2]), fused), pixels)
    check_kernel(sessions, "n2", bits_method(conv, sums.shape[2:], pool), len(conv.weight) // conv.group)
    agree(graph(shape, *bits_of_pixels(shape[2]), conv, pool), pixels)
    agree(graph(shape, *bits_of_pixels(shape[2]), MaxPool((1, 1), (2, 1)), Flatten()), pixels)


def draw_pool(data, sides):
    if min(sides) > 1 and data.draw(st.booleans()):
        return MaxPool((2, 2), (2, 2))
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in sides)
    pads = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
    for axis in (0, 1):
        if sides[axis] + pads[axis] + pads[axis + 2] < kernel[axis]:
            kernel = (1, 1)
            pads = [0] * 4
    return MaxPool(kernel, tuple(data.draw(st.integers(1, 4)) for _ in sides), tuple(pads))


@quick
@given(convolutions(), st.sampled_from(IMAGES), st.sampled_from([0, 1, 127, 128, 254, 255]))
def test_pixels_and_integers(case, kind, offset):
    rng, shape, conv = case
    pixels = images(rng, shape, kind)
    sums = run(graph(shape, PixelInput(offset), conv), pixels)
    fused = BinaryConv2dThreshold(conv, ties(rng, sums, len(conv.weight)))
    sessions = agree(graph(shape, PixelInput(offset), fused), pixels)
    agree(graph(shape, PixelInput(offset), conv), pixels)
    if (offset == 255 and conv.pad_value == 1) or conv.group > 1 or conv.dilations[1] > 1:
        check_kernel(sessions, "n1", "planes")
    elif not any(conv.pads):
        check_kernel(sessions, "n1", "bytes")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [2, 3, 5, 7])
def test_windows_of_short_rows_are_brought_together(channels, side):
    """Rows of one word and of several, more windows than are gathered at a time, and steps beyond the last row."""
    rng = np.random.default_rng(side)
    for strides, width in (((1, 1), 70), ((2, 3), 71)):
        shape = (9, width, channels)
        conv = BinaryConv2d(signs(rng, 40, side, side, channels), channels, strides, pads=(1, 2, 0, 1))
        sessions = agree(graph(shape, PixelInput(77), conv), images(rng, shape, "random"))
        check_kernel(sessions, "n1", "bytes")


@quick
@given(
    st.sampled_from([*CHANNELS, 511, 1000]),
    st.sampled_from([1, 2, 15, 16, 17, 31, 65, 130]),
    st.sampled_from(IMAGES),
    st.integers(0, 2**32),
)
def test_dense_layers(features, outputs, kind, seed):
    rng = np.random.default_rng(seed)
    shape = (1, 1, features)
    pixels = images(rng, shape, kind, 3)
    dense, head = BinaryDense(signs(rng, outputs, features), features), BinaryDense(signs(rng, 3, outputs), outputs)
    for first, method in ((bits_of_pixels(features), "bits"), ((PixelInput(100),), None)):
        sums = run(graph(shape, *first, Flatten(), dense), pixels)
        fused = BinaryDenseThreshold(dense, ties(rng, sums, outputs))
        sessions = agree(graph(shape, *first, Flatten(), fused, head), pixels)
        layer = f"n{len(first) + 1}"
        if method is not None:
            check_kernel(sessions, layer, method)
        else:
            check_kernel(sessions, layer, "bytes")


@pytest.mark.parametrize("reached", [n + d for n in (2**8, 2**15, 2**16, 2**23) for d in (-1, 0, 1)])
def test_integers_where_narrower_ones_overflow(reached):
    features = -(-reached // 255)
    pixels = np.full((1, 1, 1, features), 255, np.uint8)
    pixels.reshape(-1)[-1] = reached - 255 * (features - 1)
    dense = BinaryDense(np.zeros((40, (features + 7) // 8), np.uint8), features)
    for tau, flip in ((reached, False), (reached + 1, False), (reached, True), (-reached, True)):
        threshold = Threshold(np.full(40, tau, np.int32), np.full(40, flip))
        sessions = agree(
            graph((1, 1, features), PixelInput(0), Flatten(), BinaryDenseThreshold(dense, threshold)), pixels
        )
    assert (run(graph((1, 1, features), PixelInput(0), Flatten(), dense), pixels) == reached).all()
    for name, session in sessions.items():
        check_kernel({name: session}, "n2", integers_method(True, 40 * features, name))


@pytest.mark.parametrize("features", [n + d for n in (2**8, 2**15, 2**16) for d in (-1, 0, 1)])
@pytest.mark.parametrize("kind", ["plus", "minus"])
def test_counts_of_bits_where_narrower_ones_overflow(features, kind):
    rng = np.random.default_rng(features)
    shape = (1, 1, features)
    weight = np.zeros((5, (features + 7) // 8), np.uint8)  # all +1, and one row of noise
    weight[4] = signs(rng, features)
    pixels = images(rng, shape, kind, 1)
    layers = (*bits_of_pixels(features), Flatten(), BinaryDense(weight, features))
    check_kernel(agree(graph(shape, *layers), pixels), "n3", "bits")
    assert run(graph(shape, *layers), pixels)[0, 0] == (features if kind == "plus" else -features)


def test_integers_of_integers():
    rng = np.random.default_rng(0)
    shape = (4, 5, 30)
    first = BinaryConv2d(signs(rng, 40, 3, 3, 30), 30, pads=(1, 1, 1, 1), pad_value=1)
    second = BinaryConv2d(signs(rng, 9, 1, 1, 40), 40)
    sessions = agree(graph(shape, PixelInput(128), first, second), images(rng, shape, "random"))
    check_kernel(sessions, "n2", "planes")


def test_windows_far_outside_the_image():
    rng = np.random.default_rng(1)
    shape = (1, 1, 64)
    conv = BinaryConv2d(signs(rng, 9, 9, 9, 64), 64, (3, 3), (1, 1), (9, 8, 7, 10), 0)
    check_kernel(agree(graph(shape, *bits_of_pixels(64), conv), images(rng, shape, "random")), "n2", "direct")


@pytest.mark.parametrize("inputs", [3640, 3641])  # 9 times as much is 32760, and 32769
def test_windows_of_as_many_bits_as_counts_hold(inputs):
    rng = np.random.default_rng(inputs)
    shape = (2, 3, inputs)
    conv = BinaryConv2d(signs(rng, 3, 3, 3, inputs), inputs, pads=(1, 1, 1, 1), pad_value=1)
    conv.weight[0] = 0  # +1, as dark pixels never are
    sessions = agree(graph(shape, *bits_of_pixels(inputs), conv), images(rng, shape, "minus"))
    check_kernel(sessions, "n2", "direct" if inputs == 3640 else "bits")


def test_many_rows_in_several_bands():
    rng = np.random.default_rng(2)
    shape = (61, 67, 256)
    conv = BinaryConv2d(signs(rng, 40, 3, 3, 256), 256, pads=(1, 1, 1, 1), pad_value=0)
    pixels = images(rng, shape, "random", 1)
    plain = graph(shape, *bits_of_pixels(256), conv)
    check_kernel(agree(plain, pixels), "n2", "direct")
    fused = BinaryConv2dMaxPoolThreshold(conv, MaxPool((2, 2), (2, 2)), ties(rng, run(plain, pixels), 40))
    check_kernel(agree(graph(shape, *bits_of_pixels(256), fused), pixels), "n2", "direct")
