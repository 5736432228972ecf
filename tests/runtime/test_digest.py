"""The digest is FNV-1a 64, and one number for each image and layer."""

import numpy as np
import pytest

from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.runtime.bundle.digest import digests, fnv1a
from tests.converters.graphs import fused, images


@pytest.mark.parametrize(
    ("text", "expected"),  # the test vectors of the FNV specification
    [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)],
)
def test_published_values(text, expected):
    assert fnv1a(np.frombuffer(text, np.uint8).reshape(1, -1)).tolist() == [expected]


def test_one_column_a_layer_in_the_graphs_order():
    rng = np.random.default_rng(0)
    graph = fused(rng)
    _, hidden = run_hidden(graph, images(rng, graph.spec, 5))
    found = digests(graph, hidden, 5)
    assert found.shape == (5, len(graph.hidden_bits())) and found.dtype == np.uint64
    for column, name in enumerate(graph.hidden_bits()):
        for image in range(5):
            assert found[image, column] == fnv1a(hidden[name][image].reshape(1, -1))[0]


def test_one_changed_bit_changes_one_digest():
    packed = np.random.default_rng(1).integers(0, 256, (3, 4, 5, 2), np.uint8)
    changed = packed.copy()
    changed[1, 2, 3, 1] ^= 16
    assert (fnv1a(packed) == fnv1a(changed)).tolist() == [True, False, True]
