"""What the loader refuses: every message names the node or the tensor."""

import numpy as np
import onnx
import pytest

from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.errors import FileFormatError, Unsupported, UsageError
from bnn_toolchain.runtime.engines.native.library import load
from tests.converters.graphs import SPEC, fused, images, mixed

from .host import expected_kernel_sets, kernel


def node(model, name):
    return next(n for n in model.graph.node if n.output[0] == name)


def tensor(model, name):
    return next(t for t in model.graph.initializer if t.name == name)


def attribute(model, name, key):
    return next(a for a in node(model, name).attribute if a.name == key)


def set_array(model, name, array):
    tensor(model, name).CopyFrom(onnx.numpy_helper.from_array(array, name))


def drop_metadata(model):
    del model.metadata_props[:]


def other_format(model):
    next(p for p in model.metadata_props if p.key == "bnnt.format").value = "2"


def other_opset(model):
    model.opset_import[0].version = 17


def other_operator(model):
    node(model, "third.pool").op_type = "AveragePool"


def other_domain(model):
    node(model, "flat").domain = "com.example"


def same_name_twice(model):
    node(model, "flat").output[0] = "third.sign"


def cycle(model):
    node(model, "first").input[0] = "second"


def unknown_input(model):
    node(model, "first").input[0] = "elsewhere"


def foreign_weight(model):
    node(model, "dense").input[1] = "head/weight"


def missing_tensor(model):
    model.graph.initializer.remove(tensor(model, "dense/tau"))


def unused_tensor(model):
    model.graph.initializer.add().CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "spare/weight"))


def tensor_twice(model):
    model.graph.initializer.add().CopyFrom(tensor(model, "dense/tau"))


def short_tensor(model):
    tensor(model, "dense/tau").raw_data = tensor(model, "dense/tau").raw_data[:-1]


def negative_side(model):
    tensor(model, "dense/tau").dims[0] = -13


def huge_sides(model):
    tensor(model, "first/weight").dims[:] = [2**31 - 1] * 4


def tail_bits(model):
    weight = onnx.numpy_helper.to_array(tensor(model, "dense/weight")).copy()
    weight[3, -1] |= 0x80
    set_array(model, "dense/weight", weight)


def odd_flip(model):
    tensor(model, "dense/flip").raw_data = b"\x02" + tensor(model, "dense/flip").raw_data[1:]


def huge_pad(model):
    attribute(model, "first", "pads").ints[0] = 2**31 - 1


def pad_beyond_32_bits(model):
    attribute(model, "first", "pads").ints[0] = 2**40


def zero_stride(model):
    attribute(model, "first", "strides").ints[0] = 0


def three_strides(model):
    attribute(model, "first", "strides").ints.append(1)


def missing_attribute(model):
    node(model, "first").attribute.remove(attribute(model, "first", "pad_value"))


def extra_attribute(model):
    node(model, "flat").attribute.add().CopyFrom(onnx.helper.make_attribute("axis", 1))


def pad_value_of_two(model):
    attribute(model, "first", "pad_value").i = 2


def groups_that_do_not_divide(model):
    attribute(model, "second", "group").i = 4


def other_channels(model):
    attribute(model, "second", "group").i = 3


def pooling_pads_as_wide_as_the_window(model):
    attribute(model, "second", "pool_pads").ints[0] = 2


def other_output(model):
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5


def other_input(model):
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def huge_input(model):
    for side in model.graph.input[0].type.tensor_type.shape.dim[1:]:
        side.dim_value = 2**31 - 1


def node_after_the_output(model):
    model.graph.output[0].name = "dense"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (drop_metadata, FileFormatError, "not one that bnnt wrote"),
        (other_format, FileFormatError, "format '2' of bnnt; this version reads '1'"),
        (other_opset, FileFormatError, "the ONNX version is not the one that bnnt writes"),
        (other_operator, Unsupported, "third.pool: the native engine has no operator 'AveragePool' of the domain ''"),
        (other_domain, Unsupported, "flat: the native engine has no operator 'Flatten' of the domain 'com.example'"),
        (same_name_twice, FileFormatError, "two values are called 'third.sign'"),
        (cycle, FileFormatError, "first: its input 'second' is not an earlier value"),
        (unknown_input, FileFormatError, "first: its input 'elsewhere' is not an earlier value"),
        (foreign_weight, FileFormatError, "dense: its weight is called 'head/weight'"),
        (missing_tensor, FileFormatError, "the tensor 'dense/tau' is missing"),
        (unused_tensor, FileFormatError, "no node uses the tensor 'spare/weight'"),
        (tensor_twice, FileFormatError, "no node uses the tensor 'dense/tau'"),
        (short_tensor, FileFormatError, "the tensor 'dense/tau' holds 51 bytes, its shape wants 52"),
        (negative_side, FileFormatError, "the tensor 'dense/tau' has a side of -13"),
        (huge_sides, FileFormatError, "the tensor 'first/weight' holds"),
        (tail_bits, FileFormatError, "dense: the tail bits of its weights are not 0"),
        (odd_flip, FileFormatError, "dense: BinaryDenseThreshold has a flip that is neither 0 nor 1"),
        (huge_pad, Unsupported, "first: 2147483657x9x3 elements for one image, the limit is 67108864"),
        (pad_beyond_32_bits, FileFormatError, "first: the attribute 'pads' is 1099511627776, outside"),
        (zero_stride, FileFormatError, "first: the attribute 'strides' is 0, outside"),
        (three_strides, FileFormatError, "first: the attribute 'strides' has 3 numbers, not 2"),
        (missing_attribute, FileFormatError, "first: BinaryConv2dThreshold lacks the attribute 'pad_value'"),
        (extra_attribute, FileFormatError, "flat: Flatten has an input or an attribute more than it takes"),
        (pad_value_of_two, FileFormatError, "first: the attribute 'pad_value' is 2, outside"),
        (groups_that_do_not_divide, Unsupported, "second: 6 output channels do not divide into 4 groups"),
        (other_channels, Unsupported, "second: 18 channels arrive where BinaryConv2dMaxPoolThreshold takes 3 groups"),
        (pooling_pads_as_wide_as_the_window, Unsupported, "second: pooling pads must be smaller than the window"),
        (other_output, FileFormatError, "the output 'logits' is not the last node's real value"),
        (node_after_the_output, FileFormatError, "the output 'dense' is not the last node's real value"),
        (other_input, FileFormatError, "the input 'pixels' is not uint8 pixels"),
        (huge_input, Unsupported, "images of 2147483647x2147483647x2147483647, the limit is 67108864 elements"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_changed_file_is_refused(change, error, message):
    model = onnx.load_from_string(to_bytes(fused(np.random.default_rng(0))))
    change(model)
    with pytest.raises(error) as refused:
        load(model.SerializeToString())
    assert message in str(refused.value)
    assert type(refused.value) is error


def test_real_operators_are_checked_too():
    for change, message in (
        (lambda m: set_array(m, "tanh/max", np.array(2, np.float32)), "tanh: Clip clips to other bounds than -1 and 1"),
        (lambda m: attribute(m, "logits", "transB").__setattr__("i", 0), "logits: the attribute 'transB' is 0"),
        (lambda m: node(m, "sum").input.pop(), "sum: Add lacks an input"),
        (lambda m: set_array(m, "conv/bias", np.zeros(5, np.float32)), "conv: Conv has a bias of another length"),
        (lambda m: set_array(m, "norm/scale", np.zeros((7, 1, 1), np.float32)), "norm: its scale has 7 entries for 6"),
        (
            lambda m: node(m, "relu").input.__setitem__(0, "pixels"),
            "relu: Relu does not take the pixels value 'pixels'",
        ),
    ):
        model = onnx.load_from_string(to_bytes(mixed(np.random.default_rng(0))))
        change(model)
        with pytest.raises(UsageError) as refused:
            load(model.SerializeToString())
        assert message in str(refused.value)


def test_every_truncation_is_refused():
    data = to_bytes(fused(np.random.default_rng(0)))
    for keep in range(0, len(data), 13):
        with pytest.raises(FileFormatError):
            load(data[:keep])


def test_wrong_images_and_kernels():
    data = to_bytes(fused(np.random.default_rng(0)))
    session = load(data)
    for wrong in (np.zeros((1, 9, 7, 3), np.float32), np.zeros((1, 9, 6, 3), np.uint8), np.zeros((9, 7, 3), np.uint8)):
        with pytest.raises(UsageError, match="the model takes uint8 \\[N, 9, 7, 3\\] \\(NHWC\\)"):
            session.run(wrong)
    with pytest.raises(UsageError, match="there is no kernel set 'sse'"):
        load(data, "sse")
    with pytest.raises(UsageError, match="at least one of each"):
        session.profile(np.zeros((0, 9, 7, 3), np.uint8), 3)


def test_no_images_give_no_logits():
    session = load(to_bytes(fused(np.random.default_rng(0))))
    logits, hidden = session.run_hidden(np.zeros((0, 9, 7, 3), np.uint8))
    assert logits.shape == (0, 4)
    assert {name: bits.shape[0] for name, bits in hidden.items()} == dict.fromkeys(hidden, 0)


def test_images_in_any_memory_order_and_more_than_one_run():
    rng = np.random.default_rng(0)
    graph = fused(rng)
    session = load(to_bytes(graph))
    pixels = images(rng, SPEC, 6)
    logits = session.run(pixels)
    np.testing.assert_array_equal(session.run(np.asfortranarray(pixels)), logits)
    np.testing.assert_array_equal(session.run(pixels[::-1])[::-1], logits)
    np.testing.assert_array_equal(np.concatenate([session.run(pixels[i : i + 1]) for i in range(6)]), logits)


def test_a_profile_names_every_node_and_its_kernel():
    rng = np.random.default_rng(0)
    graph = fused(rng)
    session = load(to_bytes(graph))
    times = session.profile(images(rng, SPEC, 2), 3)
    assert [time.name for time in times] == [node.name for node in graph.nodes]
    assert all(0 <= time.seconds < 1 for time in times)
    assert times[1].kernel == kernel("bytes", expected_kernel_sets()[0])
