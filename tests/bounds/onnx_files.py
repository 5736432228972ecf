"""Hostile .onnx files, for the two readers of that format: small, and made to take time or memory."""

import numpy as np
import onnx

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryDense,
    Flatten,
    MaxPool,
    PixelInput,
    Sign,
    Threshold,
    ToReal,
)
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.input_spec import InputSpec
from tests.converters.graphs import chain, fused, packed

MEGABYTE = 1_000_000
SPEC = InputSpec(4, 4, 1, (1.0,), (0.0,), ("a", "b"))


def small():
    """A valid file with a bit of everything."""
    return to_bytes(fused(np.random.default_rng(0)))


def field(number, content):
    """A length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def many(number, content, around=(), parts=MEGABYTE):
    """A megabyte of one field, at most ``parts``, in a valid file; ``around`` it other fields, the last the graph."""
    one = field(number, content)
    data = one * min(MEGABYTE // len(one), parts)
    for outer in around[:-1]:
        data = field(outer, data)
    if not around:
        return small() + data
    graph = onnx.load_from_string(small()).graph.SerializeToString()
    model = onnx.load_from_string(small())
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph + data)


def nested(levels=60_000):
    """Graphs in attributes in nodes of graphs."""
    data = b""
    for number in (6, 5, 1) * levels:
        data = field(number, data)
        if len(data) > MEGABYTE:
            break
    return small() + field(7, data)


def changed(change, graph=None):
    """A valid file after ``change(model)``."""
    model = onnx.load_from_string(small() if graph is None else to_bytes(graph))
    change(model)
    return model.SerializeToString()


def functions_times_nodes():
    """As many nodes as a file may have, each of a function, behind 300,000 others."""
    steps = [("input", PixelInput(0)), ("flat", Flatten()), ("real", ToReal())]
    for i in range(510):
        steps += [(f"s{i}", Sign()), (f"r{i}", ToReal())]
    data = to_bytes(chain(SPEC, *steps))
    return field(25, b"") * 300_000 + data


def shared_tensor():
    """900 nodes name one tensor of 200 KB."""
    rng = np.random.default_rng(0)
    graph = chain(SPEC, ("input", PixelInput(0)), ("flat", Flatten()), ("dense", wide(rng)), ("real", ToReal()))

    def share(model):
        dense = next(node for node in model.graph.node if node.op_type == "BinaryDense")
        for i in range(900):
            copy = model.graph.node.add()
            copy.CopyFrom(dense)
            copy.output[0] = f"copy{i}"

    return changed(share, graph)


def wide(rng):
    return BinaryDense(packed(rng, 100_000, 16), 16)


def long_names(model):
    """Names of 300,000 letters, in every place of one node."""
    name = "n" * 300_000
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = model.graph.node[0].name = name


def long_tensor_names(model):
    for tensor in model.graph.initializer:
        tensor.name = "t" * 100_000


def many_dimensions(model):
    model.graph.initializer[0].dims.extend([1] * MEGABYTE)


def many_integers(model):
    next(a for node in model.graph.node for a in node.attribute if a.ints).ints.extend([1] * MEGABYTE)


def huge_tensor(model):
    model.graph.initializer[0].dims[:] = [2**31 - 1] * 4


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/dev/zero")


def json_lists(model):
    model.metadata_props[1].value = '{"classes": [' + "[]," * 300_000 + "0]}"


def json_depth(model):
    model.metadata_props[1].value = "[" * MEGABYTE


def attribute(model, node, key):
    found = next(n for n in model.graph.node if n.output[0] == node)
    return next(a for a in found.attribute if a.name == key).ints


def set_ints(node, key, values):
    """A change that gives one attribute other numbers, whatever they do to the shapes behind."""

    def change(model):
        attribute(model, node, key)[:] = values

    return change


def image_of(height, width, channels=1):
    """A change of the declared input."""

    def change(model):
        shape = model.graph.input[0].type.tensor_type.shape.dim
        for side, value in zip(shape[1:], (height, width, channels), strict=True):
            side.dim_value = value
        text = f'{{"height": {height}, "width": {width}, "channels": {channels}, "scale": '
        text += f'{[1.0] * min(channels, 3)}, "offset": {[0.0] * min(channels, 3)}, "classes": []}}'
        model.metadata_props[1].value = text

    return change


def branches():
    """900 values of a declared image of 8 million pixels that all stay alive until the end."""
    nodes = [Node("input", PixelInput(0), (INPUT,)), Node("real", ToReal(), ("input",))]
    nodes += [Node(f"a{i}", Add(), ("real", "real")) for i in range(450)]
    nodes += [Node(f"b{i}", Add(), (f"a{i}", f"b{i - 1}" if i else "real")) for i in range(450)]
    return changed(image_of(2048, 4096), Graph(SPEC, tuple(nodes)))


def scratch():
    """An image of 8191 x 8192 whose convolution is pooled over all rows: no value is large, but what is alive is."""
    rng = np.random.default_rng(0)
    conv, pool = BinaryConv2d(packed(rng, 1, 1, 1, 1), 1), MaxPool((8191, 8), (1, 8))
    threshold = Threshold(np.zeros(1, np.int32), np.zeros(1, np.bool_))
    steps = [("input", PixelInput(0)), ("conv", BinaryConv2dMaxPoolThreshold(conv, pool, threshold))]
    spec = InputSpec(8191, 8192, 1, (1.0,), (0.0,), ("a",))
    return to_bytes(chain(spec, *steps, ("flat", Flatten()), ("real", ToReal())))


def long_equal_names():
    """Names that differ in their last letters alone, of the most nodes and tensors; the tensors in the wrong order."""
    channels, name = 1, "n" * 120
    affine = Affine(np.ones(channels, np.float32), np.zeros(channels, np.float32))
    spec = InputSpec(1, 1, 1, (1.0,), (0.0,), ("a",))
    steps = [("input", PixelInput(0)), *((f"{name}{i:04}", affine) for i in range(1020)), ("flat", Flatten())]

    def reverse(model):
        tensors = list(model.graph.initializer)[::-1]
        del model.graph.initializer[:]
        model.graph.initializer.extend(tensors)

    return changed(reverse, chain(spec, *steps))


def files():
    """The hostile files by what is wrong with them."""
    return {
        "empty nodes": many(1, b"", (7,)),
        "empty attributes": many(5, b"", (1, 7)),
        "empty tensors": many(5, b"", (7,)),
        "empty functions": many(25, b""),
        "empty metadata": many(14, b""),
        "named nodes": many(1, field(2, b"x"), (7,)),
        "inputs of one node": many(1, b"", (1, 7)),
        "as many nodes as may be": many(1, b"", (7,), 28_000),
        "as many attributes as may be": many(5, b"", (1, 7), 28_000),
        "as many tensors as may be": many(5, b"", (7,), 28_000),
        "as many inputs as may be": many(1, b"abcdefgh", (1, 7), 100_000),
        "graphs in graphs": nested(),
        "functions x nodes": functions_times_nodes(),
        "a tensor shared by 900 nodes": shared_tensor(),
        "names of 300 KB": changed(long_names),
        "tensor names of 100 KB": changed(long_tensor_names),
        "a million dimensions": changed(many_dimensions),
        "a million integers": changed(many_integers),
        "a tensor of 2^124": changed(huge_tensor),
        "external data": changed(external),
        "JSON lists": changed(json_lists),
        "JSON depth": changed(json_depth),
        "pads of 30,000": changed(set_ints("first", "pads", [30_000] * 4)),
        "pads of 30,000, few outputs": changed(
            lambda m: (set_ints("first", "pads", [30_000] * 4)(m), set_ints("first", "strides", [60_000] * 2)(m))
        ),
        "pads of 2^30": changed(set_ints("first", "pads", [2**30, 0, 2**30, 0])),
        "dilations of 65,536": changed(set_ints("second", "dilations", [65_536] * 2)),
        "pooling over 2^31": changed(
            lambda m: (
                set_ints("third.pool", "kernel_shape", [2**31 - 1] * 2)(m),
                set_ints("third.pool", "pads", [2**31 - 2] * 4)(m),
            )
        ),
        "an image of 2^31 sides": changed(image_of(2**31 - 1, 2**31 - 1)),
        "an image of 2^15 sides": changed(image_of(2**15, 2**15)),
        "900 large values": branches(),
        "long names, almost equal": long_equal_names(),
        "scratch of 4.7 GB": scratch(),
    }
