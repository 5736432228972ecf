"""The file as others see it: the package tflite reads what we write, LCE's option maps are byte for byte theirs."""

import numpy as np
import pytest
import tflite
from flatbuffers import flexbuffers

from bnn_toolchain.converters import lce
from bnn_toolchain.converters.lce.format.container import decode, encode
from bnn_toolchain.converters.lce.format.flat import with_outputs
from bnn_toolchain.converters.lce.format.flex import read_options, write_options
from bnn_toolchain.converters.lce.format.geometry import same_pads
from bnn_toolchain.converters.lce.format.schema import OPTIONS
from bnn_toolchain.errors import FileFormatError

from ..converters.graphs import mixed
from .layers import branches


def names(kind):
    return {code: name for name, code in vars(kind).items() if name.isupper()}


@pytest.mark.parametrize("make", [mixed, lambda rng: branches(3, 12)])
def test_the_tflite_package_reads_what_we_write(make):
    data = lce.to_bytes(make(np.random.default_rng(0)))
    ours = decode(data)
    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    assert (model.Version(), model.SubgraphsLength(), model.SignatureDefs(0).SignatureKey()) == (
        3,
        1,
        b"serving_default",
    )
    assert model.SignatureDefs(0).Inputs(0).TensorIndex() == graph.Inputs(0) == ours.inputs[0]
    assert graph.TensorsLength() == len(ours.tensors) and graph.OperatorsLength() == len(ours.operators)
    for index, tensor in enumerate(ours.tensors):
        theirs = graph.Tensors(index)
        assert (theirs.Name().decode(), tuple(np.atleast_1d(theirs.ShapeAsNumpy()))) == (tensor.name, tensor.shape)
        assert names(tflite.TensorType)[theirs.Type()] == tensor.type
        raw = model.Buffers(theirs.Buffer()).DataAsNumpy()
        if tensor.data is not None:
            assert raw.tobytes() == tensor.data.tobytes()
    for index, operator in enumerate(ours.operators):
        theirs = graph.Operators(index)
        code = model.OperatorCodes(theirs.OpcodeIndex())
        custom = code.BuiltinCode() == tflite.BuiltinOperator.CUSTOM
        assert operator.code == (
            code.CustomCode().decode() if custom else names(tflite.BuiltinOperator)[code.BuiltinCode()]
        )
        assert tuple(theirs.InputsAsNumpy()) == operator.inputs
        if operator.code in OPTIONS:
            options = getattr(tflite, OPTIONS[operator.code])()
            options.Init(theirs.BuiltinOptions().Bytes, theirs.BuiltinOptions().Pos)
            for key, value in operator.options.items():
                accessor = "".join(word.title() for word in key.split("_"))
                assert getattr(options, accessor)() == value, key


def test_constants_start_at_multiples_of_16_bytes():
    data = lce.to_bytes(branches(1, 8))
    start = np.frombuffer(data, np.uint8).ctypes.data
    for tensor in decode(data).tensors:
        if tensor.data is not None:
            assert (tensor.data.ctypes.data - start) % 16 == 0, tensor.name


def test_decoding_is_the_inverse_of_encoding():
    data = lce.to_bytes(branches(2, 8))
    assert encode(decode(data)) == data


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, 40000, 2**31 - 1, 2**40, -(2**31)])
def test_option_maps_of_every_width(value):
    options = {"channels_in": value, "padding": 1, "stride_height": 2}
    assert read_options(write_options(options)) == options
    assert write_options(options) == bytes(flexbuffers.Dumps(options))


@pytest.mark.parametrize("value", ["text", 1.5, [1, 2], {"a": 1}, None])
def test_an_option_that_is_no_integer_is_refused(value):
    with pytest.raises(FileFormatError):
        read_options(bytes(flexbuffers.Dumps({"padding": value})))


def test_damaged_option_maps_end_in_a_typed_error():
    data = write_options({"channels_in": 300, "padding": 1, "stride_height": 2, "stride_width": 2})
    rng = np.random.default_rng(0)
    for _ in range(5000):
        damaged = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        try:
            read_options(bytes(damaged[: int(rng.integers(len(damaged) + 1))]))
        except FileFormatError:
            continue


def test_outputs_are_replaced_where_they_stand():
    data = lce.to_bytes(branches(4, 3))
    changed = with_outputs(data, (5, 3, 4))
    before, after = decode(data), decode(changed)
    assert after.outputs == (5, 3, 4)
    assert [t.name for t in after.tensors] == [t.name for t in before.tensors]
    assert encode(decode(with_outputs(changed, before.outputs))) == data


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [(8, 3, 2, 1, (0, 1)), (9, 3, 2, 1, (1, 1)), (8, 3, 1, 1, (1, 1)), (8, 2, 1, 2, (1, 1)), (5, 1, 3, 1, (0, 0))],
)
def test_same_padding_puts_the_odd_pixel_last(size, kernel, stride, dilation, expected):
    pads = same_pads((4, size, size), (kernel,) * 2, (stride,) * 2, (dilation,) * 2)
    assert pads == (expected[0], expected[0], expected[1], expected[1])
