"""LCE's own interpreter and the reference agree on every bit, with all three of its kernels."""

import re

import numpy as np
import pytest
import torch

from bnn_toolchain.converters import lce
from bnn_toolchain.converters.graph.graph import same_graph
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.runtime.engines.lce import session as engine

from .layers import branches

SWEEP, SHARE = 600, 50  # layer configurations, and how many of them stand in one file


def check(graph, data, images, kernel):
    logits, hidden = run_hidden(graph, images)
    found, bits = engine.load(data, kernel).run_hidden(images)
    assert list(bits) == list(hidden)
    for name, expected in hidden.items():
        np.testing.assert_array_equal(bits[name], expected, f"{kernel}: {name}")
    np.testing.assert_array_equal(found, logits, f"{kernel}: logits")
    return len(hidden)


@pytest.mark.parametrize("seed", range(SWEEP // SHARE))
def test_a_sweep_of_layer_configurations(interpreter, seed):
    graph = branches(seed, SHARE)
    data = lce.to_bytes(graph)
    assert same_graph(lce.from_bytes(data), graph)
    images = np.random.default_rng(seed).integers(0, 256, (3, *graph.spec.shape), dtype=np.uint8)
    images[0] = 255 * (seed % 2)
    for kernel in engine.KERNELS:
        assert check(graph, data, images, kernel) >= 2 * SHARE


def test_random_networks_from_torch(interpreter, lowered):
    torch.set_num_threads(1)
    compared = 0
    for seed in range(36):
        graph = lowered(seed)
        try:
            data = lce.to_bytes(graph)
        except Unsupported as error:
            assert re.search(r"groups with \d+ input channels each: LCE takes multiples of 32", str(error))
            continue
        assert same_graph(lce.from_bytes(data), graph)
        grouped = any(getattr(getattr(n.op, "conv", n.op), "group", 1) > 1 for n in graph.nodes)
        images = np.random.default_rng(seed).integers(0, 256, (2, *graph.spec.shape), dtype=np.uint8)
        kernel = tuple(engine.KERNELS)[0 if grouped else seed % 3]
        compared += check(graph, data, images, kernel)
    assert compared > 30
