"""torch, the reference, stock onnxruntime and the native engine agree on every hidden bit of random networks."""

import numpy as np
import pytest
import torch

from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.runtime.engines.engine import open_session
from tests.networks import hidden_bits, random_network

NETWORKS = 304
SHARES = 8


@pytest.mark.parametrize("share", range(SHARES))
def test_every_hidden_bit_of_random_networks(lowered, share):
    torch.set_num_threads(1)
    compared = 0
    for seed in range(share, NETWORKS, SHARES):
        module, spec = random_network(seed)
        graph = lowered(seed, module, spec)
        images = np.random.default_rng(seed).integers(0, 256, (3, *spec.shape), dtype=np.uint8)
        images[0] = 255 * (seed % 2)
        torch_logits, torch_hidden = hidden_bits(module, images, spec)
        logits, hidden = run_hidden(graph, images)
        assert not [n for n in torch_hidden if n not in hidden], f"network {seed}: bits of {list(torch_hidden)}"
        for name, bits in torch_hidden.items():
            np.testing.assert_array_equal(bits, hidden[name], f"network {seed}, torch, {name}")
            compared += bits.size
        for engine in ("onnxruntime", "native"):
            session = open_session(engine, to_bytes(graph))
            engine_logits, engine_hidden = session.run_hidden(images)
            assert list(engine_hidden) == list(graph.hidden_bits())
            for name, bits in engine_hidden.items():
                np.testing.assert_array_equal(bits, hidden[name], f"network {seed}, {engine}, {name}")
            np.testing.assert_array_equal(engine_logits, logits, f"network {seed}, {engine}: logits")
            np.testing.assert_array_equal(session.run(images), logits, f"network {seed}, {engine}: logits alone")
        np.testing.assert_allclose(torch_logits, logits, rtol=2e-5, atol=2e-4, err_msg=f"network {seed}: logits")
    assert compared > 100
