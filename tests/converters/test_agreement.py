"""torch, the reference and stock onnxruntime agree on every hidden bit of random networks."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph import Graph, same_graph
from bnn_toolchain.converters.onnx import from_bytes, to_bytes
from bnn_toolchain.converters.reference import run_hidden
from tests.networks import hidden_bits, random_network

NETWORKS = 304
SHARES = 8


def with_hidden_outputs(graph: Graph) -> bytes:
    """The file with every binary activation as an output more."""
    model = onnx.load_from_string(to_bytes(graph))
    for name in graph.hidden_bits():
        shape = ["N", *graph.values[name].shape]
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return model.SerializeToString()


def packed(values: np.ndarray) -> np.ndarray:
    last = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
    return np.packbits(last < 0, axis=-1, bitorder="little")


@pytest.mark.parametrize("share", range(SHARES))
def test_every_hidden_bit_of_random_networks(share):
    torch.set_num_threads(1)
    compared = 0
    for seed in range(share, NETWORKS, SHARES):
        module, spec = random_network(seed)
        graph = convert(module, spec)
        images = np.random.default_rng(seed).integers(0, 256, (3, *spec.shape), dtype=np.uint8)
        images[0] = 255 * (seed % 2)
        torch_logits, torch_hidden = hidden_bits(module, images, spec)
        logits, hidden = run_hidden(graph, images)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(with_hidden_outputs(graph), options, providers=["CPUExecutionProvider"])
        stock_logits, *stock = session.run(None, {"pixels": images})
        assert not [n for n in torch_hidden if n not in hidden], f"network {seed}: bits of {list(torch_hidden)}"
        for name, bits in torch_hidden.items():
            np.testing.assert_array_equal(bits, hidden[name], f"network {seed}, torch, {name}")
            compared += bits.size
        for name, values in zip(graph.hidden_bits(), stock, strict=True):
            np.testing.assert_array_equal(packed(values), hidden[name], f"network {seed}, onnxruntime, {name}")
        np.testing.assert_array_equal(stock_logits, logits, f"network {seed}: logits")
        np.testing.assert_allclose(torch_logits, logits, rtol=2e-5, atol=2e-4, err_msg=f"network {seed}: logits")
        assert same_graph(from_bytes(to_bytes(graph)), graph)
    assert compared > 100
