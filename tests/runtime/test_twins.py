"""The float twin has the binary network's layers: as many multiplications, the same output."""

import logging
from math import prod

import numpy as np
import onnx
import pytest

from bnn_toolchain.converters.capture.capture import capture
from bnn_toolchain.converters.cost import cost_of
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.runtime.checks.twins import float_twin, int8_twins
from bnn_toolchain.runtime.engines.onnxruntime import open_bytes
from tests.converters.graphs import fused, images, mixed
from tests.runtime.networks import SPEC, small_network


def macs(data):
    """Multiply-accumulates of all convolutions and dense layers, from the file's own inferred shapes."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True, data_prop=True)
    values = [*model.graph.value_info, *model.graph.output]
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in values}
    weights = {t.name: list(t.dims) for t in model.graph.initializer}
    return sum(
        prod(shapes[node.output[0]]) * prod(weights[node.input[1]][1:])
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm")
    )


@pytest.mark.parametrize("make", [fused, mixed])
def test_as_many_multiplications_and_the_same_output(make):
    rng = np.random.default_rng(0)
    graph = make(rng)
    data = float_twin(graph)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    costs = cost_of(graph, 0)
    assert macs(data) == costs.binary_macs + costs.other_macs
    logits = open_bytes(data)(images(rng, graph.spec, 3))[0]
    assert logits.shape == (3, 4) and np.isfinite(logits).all() and logits.std() > 0
    assert float_twin(graph) == data


def test_int8_is_quantised_and_close_to_the_float_twin(caplog):
    rng = np.random.default_rng(0)
    graph = fused(rng)
    pixels = images(rng, graph.spec, 50)
    exact = open_bytes(float_twin(graph))(pixels)[0]
    with caplog.at_level(logging.WARNING):
        schemes = int8_twins(graph) + int8_twins(graph, pixels)
    assert not caplog.records and len(set(schemes)) == 4
    for data in schemes:
        weights = [t for t in onnx.load_from_string(data).graph.initializer if t.data_type == onnx.TensorProto.INT8]
        assert len(weights) >= 5
        assert np.abs(exact - open_bytes(data)(pixels)[0]).mean() < 0.1 * np.abs(exact).mean()


def test_a_graph_that_is_not_lowered():
    captured = capture(small_network(), SPEC).graph
    with pytest.raises(Unsupported, match="BatchNorm has no float twin"):
        float_twin(captured)
