"""Hostile .tflite files: small, and made to take time or memory."""

import json
from unittest.mock import patch

import numpy as np
from flatbuffers.flexbuffers import Dumps
from tflite import BuiltinOperator

from bnn_toolchain.converters import lce
from bnn_toolchain.converters.graph.graph import Graph, Node
from bnn_toolchain.converters.graph.ops import BinaryConv2d, Flatten, PixelInput, Sign, ToReal
from bnn_toolchain.converters.lce.format import flat
from bnn_toolchain.converters.lce.format.container import decode, encode
from bnn_toolchain.converters.lce.format.describe import KEY
from bnn_toolchain.converters.lce.format.schema import OPTIONS
from bnn_toolchain.input_spec import InputSpec
from tests.converters.graphs import packed
from tests.lce.foreign import File, network
from tests.lce.test_mutations import ours

MEGABYTE = 1_000_000
RNG = np.random.default_rng(0)


def small():
    """A valid file in the form of LCE's own converter."""
    return network(np.random.default_rng(0)).data()


def tables(data):
    """A file as nested dicts; one dict that stands in several places is written once (:func:`shared`)."""
    reader = flat.FlatReader(data)
    model = reader.root()
    for subgraph in model["subgraphs"]:
        for operator in subgraph["operators"]:
            if operator["builtin_options"] is not None:
                kind = next(k for k in OPTIONS.values() if k == options_of(model, operator))
                operator["builtin_options"] = (kind, reader.table(kind, operator["builtin_options"]))
    return model


def options_of(model, operator):
    code = model["operator_codes"][operator["opcode_index"]]["builtin_code"]
    return OPTIONS[next(name for name, value in vars(BuiltinOperator).items() if value == code and name in OPTIONS)]


def shared(model):
    """The file of nested dicts and lists, each object written once however often it is named."""
    done, plain_child, plain_table = {}, flat._child, flat._table

    def once(write, key):
        if key not in done:
            done[key] = write()
        return done[key]

    def child(builder, kind, value):
        if isinstance(value, (dict, list, np.ndarray)):
            return once(lambda: plain_child(builder, kind, value), (kind, id(value)))
        return plain_child(builder, kind, value)

    def table(builder, name, values):
        return once(lambda: plain_table(builder, name, values), (name, id(values)))

    with patch.object(flat, "_child", child), patch.object(flat, "_table", table):
        return flat.write(model)


def changed(change, data=None):
    model = tables(small() if data is None else data)
    change(model, model["subgraphs"][0])
    return shared(model)


def metadata_of_one_buffer(model, graph):
    model["buffers"].append({"data": np.zeros(500_000, np.uint8)})
    model["metadata"] += [{"name": f"m{i}", "buffer": len(model["buffers"]) - 1} for i in range(12_000)]


def one_tensor_everywhere(model, graph):
    graph["tensors"] += [{"shape": [1], "type": 0, "name": "x"}] * 240_000


def as_many_tensors_as_may_be(model, graph):
    model["buffers"].append({"data": np.zeros(900_000, np.uint8)})
    graph["tensors"] += [{"shape": [1], "type": 0, "name": f"t{i}"} for i in range(8000)]


def as_many_operators_as_may_be(model, graph):
    model["buffers"].append({"data": np.zeros(900_000, np.uint8)})
    graph["operators"] += [dict(graph["operators"][0]) for _ in range(1000)]


def one_buffer_everywhere(model, graph):
    model["buffers"] += [{}] * 240_000


def one_operator_everywhere(model, graph):
    graph["operators"] += [graph["operators"][0]] * 240_000


def one_code_everywhere(model, graph):
    model["operator_codes"] += [model["operator_codes"][0]] * 240_000


def inputs_of_every_operator(model, graph):
    inputs = np.zeros(200_000, np.int32)
    for operator in graph["operators"]:
        operator["inputs"] = inputs


def outputs_of_one_operator(model, graph):
    graph["operators"][-1]["outputs"] = np.zeros(240_000, np.int32)


def tensors_of_one_buffer(model, graph):
    model["buffers"].append({"data": np.zeros(500_000, np.uint8)})
    buffer = len(model["buffers"]) - 1
    graph["tensors"] += [{"shape": [500_000], "type": 3, "name": f"t{i}", "buffer": buffer} for i in range(9000)]


def names_of_a_megabyte(model, graph):
    for tensor in graph["tensors"]:
        tensor["name"] = "n" * MEGABYTE


def names_of_semicolons(model, graph):
    for tensor in graph["tensors"]:
        tensor["name"] = ";" * 4000


def many_sides(model, graph):
    for tensor in graph["tensors"]:
        tensor["shape"] = np.ones(250_000, np.int32)


def long_option_names(model, graph):
    options = np.frombuffer(bytes(Dumps({"k" * 15_000 + str(i): i for i in range(60)})), np.uint8)
    for operator in graph["operators"]:
        if operator["custom_options"] is not None:
            operator["custom_options"] = options


def zero_padded(shape, kernel, outputs=8, dilation=1, stride=1, copies=1):
    """Binary convolutions with zero padding, which LCE's converter corrects in float, and signs behind them."""
    file = File(1, *shape)
    x, channels = 0, shape[2]
    weight = file.constant(np.zeros((outputs, *kernel, -(-channels // 32)), np.int32))
    ones = file.constant(np.ones(outputs, np.float32))
    for _ in range(copies):
        options = {"channels_in": channels, "padding": 0, "pad_values": 0, "fused_activation_function": 0}
        options |= dict.fromkeys(("stride_height", "stride_width"), stride)
        options |= dict.fromkeys(("dilation_height_factor", "dilation_width_factor"), dilation)
        size = [-(-side // stride) for side in shape[:2]]
        y = file.op("LceBconv2d", [file.quantize(x), weight, ones, ones, -1], 1, *size, outputs, **options)
        x = file.op("LceDequantize", [file.quantize(y)], 1, *size, outputs)
        if outputs != channels or stride != 1:
            break
    return file.data()


def one_chain(outputs, inputs, steps):
    """A binary dense layer of many products, and a long chain of float operators to the sign."""
    file = File(1, 1, 1, inputs)
    x = file.bconv(RNG, file.quantize(0), inputs, outputs, 1, 1, 1, 1)
    for _ in range(steps):
        x = file.op("RELU", [x], 1, 1, 1, outputs)
    file.op("LceDequantize", [file.quantize(x)], 1, 1, 1, outputs)
    return file.data()


def layers_of_one_weight(outputs, count):
    """Layers that all name one constant of weights, each with a batch norm and a sign."""
    file = File(1, 1, 1, outputs)
    x = file.bconv(RNG, file.quantize(0), outputs, outputs, 1, 1, 1, 1)
    first = file.operators[-1]
    for _ in range(count):
        x = file.op("LceBconv2d", [file.quantize(x), *first.inputs[1:]], 1, 1, 1, outputs, **first.options)
    file.op("LceDequantize", [file.quantize(x)], 1, 1, 1, outputs)
    return file.data()


def classes(features):
    """An image that is flattened into the output."""
    file = File(1, 1, features // 64, 64)
    file.op("RESHAPE", [0, file.constant(np.array([1, features], np.int32))], 1, features)
    return file.data()


def doubled(times):
    """Channels joined with themselves, again and again."""
    file = File(1, 1, 1, 64)
    x = 0
    for i in range(times):
        x = file.op("CONCATENATION", [x, x], 1, 1, 1, min(64 << (i + 1), 1 << 30), axis=3)
    return file.data()


def padded(amount):
    """An image in a frame."""
    file = File(1, 4, 4, 1)
    amounts = file.constant(np.array([[0, 0], [amount, amount], [amount, amount], [0, 0]], np.int32))
    side = 4 + 2 * amount
    file.op("PAD", [0, amounts], 1, side, side, 1)
    return file.data()


def pooled(code, side):
    """A window of that side, with SAME padding."""
    file = File(1, 64, 64, 8)
    options = {"filter_height": side, "filter_width": side, "stride_h": 1, "stride_w": 1, "padding": 0}
    file.op(code, [0], 1, 64, 64, 8, **options)
    return file.data()


def described(change):
    """A file of ours after ``change(text)`` of its description."""
    container = decode(ours(np.random.default_rng(0)))
    container.metadata[KEY] = change(container.metadata[KEY])
    return encode(container)


def one_node_again(text):
    """The same node, 3,000 times."""
    raw = json.loads(text)
    raw["nodes"] += [raw["nodes"][1]] * 3000
    return json.dumps(raw).encode()


def border_constants():
    """The description of a file that would hold 60 MB of constants, without them."""
    conv = BinaryConv2d(packed(RNG, 2, 3, 3, 3), 3, pads=(1, 1, 1, 1))
    nodes = [Node("input", PixelInput(3), ("pixels",)), Node("real", ToReal(), ("input",))]
    nodes += [Node("bits", Sign(), ("real",)), Node("zero", conv, ("bits",)), Node("flat", Flatten(), ("zero",))]
    graph = Graph(InputSpec(8, 8, 3, (1.0,) * 3, (3.0,) * 3, ("a",)), (*nodes, Node("out", ToReal(), ("flat",))))
    container = decode(lce.to_bytes(graph))
    text = container.metadata[KEY].replace(b'"height":8,"width":8', b'"height":2000,"width":2000')
    container.metadata[KEY] = text
    return encode(container)


def files():
    """The hostile files by what is wrong with them."""
    return {
        "12,000 metadata of one buffer": changed(metadata_of_one_buffer),
        "one tensor 240,000 times": changed(one_tensor_everywhere),
        "8,000 tensors": changed(as_many_tensors_as_may_be),
        "1,000 operators": changed(as_many_operators_as_may_be),
        "one buffer 240,000 times": changed(one_buffer_everywhere),
        "one operator 240,000 times": changed(one_operator_everywhere),
        "one code 240,000 times": changed(one_code_everywhere),
        "200,000 inputs, shared": changed(inputs_of_every_operator),
        "240,000 outputs": changed(outputs_of_one_operator),
        "9,000 tensors of one buffer": changed(tensors_of_one_buffer),
        "names of a megabyte": changed(names_of_a_megabyte),
        "names of semicolons": changed(names_of_semicolons),
        "250,000 sides": changed(many_sides),
        "option names of 15 KB": changed(long_option_names),
        "dilations of 65,536": zero_padded((256, 256, 8), (3, 3), dilation=1 << 16),
        "dilations of 65,536, one row": zero_padded((1, 65536, 8), (1, 3), dilation=1 << 16, copies=40),
        "a kernel of 30,000x1": zero_padded((65536, 1, 8), (30_000, 1), outputs=1),
        "a kernel of 100x100": zero_padded((256, 256, 8), (100, 100)),
        "200 corrected convolutions": zero_padded((64, 64, 8), (7, 7), copies=200),
        "2^21 accumulators x 8": one_chain(8, 4096, 2),
        "65,536 channels x 2,000 steps": one_chain(65_536, 32, 2000),
        "4 million weights": one_chain(1024, 4096, 2),
        "layers of one weight": layers_of_one_weight(1024, 400),
        "a million classes": classes(1 << 20),
        "channels doubled 40 times": doubled(40),
        "pads of 30,000": padded(30_000),
        "pads of 2^30": padded(2**30 - 8),
        "MAX_POOL_2D of 65,536": pooled("MAX_POOL_2D", 65_536),
        "AVERAGE_POOL_2D of 65,536": pooled("AVERAGE_POOL_2D", 65_536),
        "JSON lists": described(lambda text: b'{"format": 1, "input": [' + b"[]," * 300_000 + b"0]}"),
        "JSON depth": described(lambda text: b"[" * MEGABYTE),
        "one node 3,000 times": described(one_node_again),
        "constants of 96 MB": border_constants(),
    }
