"""Files in the form of LCE's converter: read, and run as LCE runs them, bit for bit."""

import numpy as np
import pytest

from bnn_toolchain.converters import lce
from bnn_toolchain.converters.reference import run, run_hidden
from bnn_toolchain.errors import FileFormatError, Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.engines.lce import session as engine

from .foreign import File, affine, network

SPEC = InputSpec(6, 5, 3, (1 / 128,) * 3, (128.0,) * 3, ("a", "b", "c", "d"))


def pixels(rng, graph, count=3):
    return rng.integers(0, 256, (count, *graph.spec.shape), dtype=np.uint8)


@pytest.mark.parametrize("kernel", engine.KERNELS)
@pytest.mark.parametrize("seed", range(4))
def test_every_bit_of_a_network(interpreter, kernel, seed):
    rng = np.random.default_rng(seed)
    data = network(rng).data()
    graph = lce.from_bytes(data)
    images = pixels(rng, graph)
    expected, hidden = run_hidden(graph, images)
    found, bits = engine.load(data, kernel).run_hidden(images)
    assert len(bits) == len(hidden) == 5
    for name in hidden:
        np.testing.assert_array_equal(bits[name], hidden[name], name)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", ["indirect", "optimized"])
def test_binary_convolutions_round_as_lce_rounds(interpreter, kernel):
    """Float outputs to the last bit: multipliers of both signs, both paddings, fused activations, groups."""
    rng = np.random.default_rng(7)
    file = File(1, 7, 6, 40)
    first = file.quantize(affine(file, rng, 0))
    flat = []
    for case in range(60):
        channels, outputs, group = int(rng.integers(1, 100)), int(rng.integers(1, 70)), 1
        if case % 6 == 0 and kernel == "indirect":
            channels, outputs, group = 64, outputs * 2, 2
        x = file.bconv(rng, first, 40, channels, 1, 1, 1, 0, bits=True)
        size, stride, padding, zero = int(rng.integers(1, 6)), int(rng.integers(1, 3)), int(rng.integers(2)), case % 2
        activation = 0 if zero and padding == 0 else int(rng.integers(4))
        x = file.bconv(rng, x, channels, outputs, size, stride, padding, int(not zero), activation, group=group)
        count = int(np.prod(file.shape(x)))
        flat.append(file.op("RESHAPE", [x, file.constant(np.array([1, count], np.int32))], 1, count))
    file.op("CONCATENATION", flat, 1, sum(file.shape(x)[1] for x in flat), axis=1)
    graph = lce.from_bytes(file.data())
    images = pixels(rng, graph, 2)
    np.testing.assert_array_equal(engine.load(file.data(), kernel).run(images), run(graph, images))


def test_the_input_is_pixels_until_its_preprocessing_is_named(interpreter):
    rng = np.random.default_rng(0)
    data = network(rng).data()
    graph = lce.from_bytes(data)
    assert graph.spec == InputSpec(6, 5, 3, (1.0,) * 3, (0.0,) * 3, ("0", "1", "2", "3"))
    named = lce.with_input(graph, SPEC)
    images = pixels(rng, graph)
    assert named.spec == SPEC
    assert not np.array_equal(run(named, images), run(graph, images))
    with pytest.raises(Unsupported, match="takes images"):
        lce.with_input(graph, InputSpec(5, 6, 3, (1.0,) * 3, (0.0,) * 3, ()))


def test_uint8_inputs_keep_their_scale():
    from dataclasses import replace

    from bnn_toolchain.converters.lce.format.container import Quantization, encode

    file = File(1, 3, 3, 2, kind="UINT8")
    file.tensors[0] = replace(file.tensors[0], quantization=Quantization(0.5, 7))
    file.op("RELU", [file.op("DEQUANTIZE", [0], 1, 3, 3, 2)], 1, 3, 3, 2)
    graph = lce.from_bytes(encode(file.container()))
    images = pixels(np.random.default_rng(0), graph)
    expected = np.maximum((images.astype(np.float32) - 7) * np.float32(0.5), 0)
    np.testing.assert_array_equal(run(graph, images), expected.transpose(0, 3, 1, 2))


def test_a_stock_model_loads_and_has_nothing_binary():
    rng = np.random.default_rng(0)
    file = File(1, 4, 4, 2)
    shape = file.constant(np.array([1, 32], np.int32))
    weight = file.constant(rng.normal(size=(3, 32)).astype(np.float32))
    flat = file.op("RESHAPE", [0, shape], 1, 32)
    file.op("FULLY_CONNECTED", [flat, weight, -1], 1, 3, fused_activation_function=3)
    graph = lce.from_bytes(file.data())
    assert graph.hidden_bits() == ()
    images = pixels(rng, graph)
    expected = np.clip(images.reshape(3, -1).astype(np.float32) @ file.tensors[weight].data.T, 0, 6)
    np.testing.assert_allclose(run(graph, images), expected, rtol=1e-5)


def unsupported(code, shape=(1, 4, 4, 2), **options):
    file = File(1, 4, 4, 2)
    file.op(code, [0], *shape, **options)
    return file.data()


def quantised():
    file = File(1, 4, 4, 2, kind="INT8")
    file.op("RELU", [0], 1, 4, 4, 2, kind="INT8")
    return file.data()


def batched():
    file = File(8, 4, 4, 2)
    file.op("RELU", [0], 8, 4, 4, 2)
    return file.data()


def zero_padded(activation=0, bits=False):
    file = File(1, 6, 6, 32)
    file.bconv(np.random.default_rng(0), file.quantize(0), 32, 32, 3, 1, 0, 0, activation, bits)
    return file.data()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (unsupported("GELU"), r"operator 0 \(GELU\): bnnt does not read this operator"),
        (unsupported("LceMystery"), r"operator 0 \(LceMystery\): bnnt does not read this operator"),
        (unsupported("RESHAPE", (1, 2, 8, 2)), r"operator 0 \(RESHAPE\): to \[1, 2, 8, 2\]; only flattening"),
        (quantised(), "the input 'serving_default_input_1:0' is INT8"),
        (batched(), "batch of one image"),
        (zero_padded(activation=1), r"operator 1 \(LceBconv2d\): an activation with zero padding"),
        (zero_padded(bits=True), r"operator 1 \(LceBconv2d\): it yields INT32 with zero padding"),
    ],
)
def test_what_is_not_supported_is_named(data, message):
    with pytest.raises(Unsupported, match=message):
        lce.from_bytes(data)


def test_operators_may_not_share_constants_beyond_reason():
    file = File(1, 1, 1, 64)
    weight = file.constant(np.ones((64, 64), np.float32))
    x = 0
    for _ in range(400):
        x = file.op("FULLY_CONNECTED", [x, weight, -1], 1, 64)
    with pytest.raises(FileFormatError, match="share constants beyond reason"):
        lce.from_bytes(file.data())
