"""The bytes of the files themselves: other bytes are a decision, and whoever takes it writes the new digests here."""

from hashlib import sha256

import pytest
from onnx import load_from_string

from bnn_toolchain.converters import lce, onnx
from bnn_toolchain.converters.graph.graph import same_graph
from bnn_toolchain.converters.onnx.functions import _BODIES

from .pinned import GRAPHS

STANDARD = {"MaxPool", "Relu", "Clip", "Conv", "Gemm", "Add", "GlobalAveragePool"}
DIGESTS = {
    ("dense", "onnx"): "ae2de6228f2447669b49fae62c7abd40e3759f8c66486fec6ad1fc077e5d4896",
    ("dense", "tflite"): "c034dce7eca492d11ab48331940469531afdac6aa7457a44235e59434b1db452",
    ("convolutional", "onnx"): "a847cfad49b7fb6dbb0e09ef465e0722f054d4b7cf6a9acac3c2235ebe6f77a5",
    ("convolutional", "tflite"): "0656be02a10dada36aa2c0930ffe7efa776ef79381211b88d70b97b96016d3a5",
    ("real", "onnx"): "24c631b0149980aea5071837527653ca169940d707b9936e616661b7544ae9a6",
    ("real", "tflite"): "fecda69fbc59bf2dfb16f5e5736a59fd1e42a2d7791c211c780d67b63a3a85ec",
}


@pytest.mark.parametrize(("name", "form"), DIGESTS)
def test_the_bytes_are_the_same_as_ever(name, form):
    graph = GRAPHS[name]()
    data = onnx.to_bytes(graph) if form == "onnx" else lce.to_bytes(graph)
    assert sha256(data).hexdigest() == DIGESTS[name, form]


def test_the_files_hold_every_operator_between_them():
    models = [load_from_string(onnx.to_bytes(graph())) for graph in GRAPHS.values()]
    used = {(node.domain, node.op_type) for model in models for node in model.graph.node}
    assert used == {("bnnt", name) for name in _BODIES if name != "Unpack"} | {("", name) for name in STANDARD}


@pytest.mark.parametrize("name", ["convolutional", "real"])
def test_functions_in_their_former_words_are_read(name):
    graph = GRAPHS[name]()
    model = load_from_string(onnx.to_bytes(graph))
    for function in model.functions:
        if function.name == "BinaryConv2d":
            without_identity(function)
    assert model != load_from_string(onnx.to_bytes(graph))
    assert same_graph(onnx.from_bytes(model.SerializeToString()), graph)


def without_identity(function):
    """The Constant's output under the name of the Identity's, and no Identity."""
    (constant,) = (node for node in function.node if "given" in node.output)
    (identity,) = (node for node in function.node if "given" in node.input)
    constant.output[0] = identity.output[0]
    function.node.remove(identity)
