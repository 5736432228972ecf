"""Files that bnnt wrote: nothing is lost, nothing unexpected is read, and what LCE lacks is named."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.converters import lce
from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node, same_graph
from bnn_toolchain.converters.graph.ops import (
    ALWAYS,
    BinaryConv2d,
    BinaryConv2dThreshold,
    Flatten,
    PixelInput,
    PixelNormalize,
    Threshold,
)
from bnn_toolchain.converters.lce.format.container import decode, encode
from bnn_toolchain.converters.lce.format.describe import KEY
from bnn_toolchain.converters.lce.format.limits import from_limits, from_offsets, limits, offsets
from bnn_toolchain.errors import FileFormatError, Unsupported, UsageError

from ..converters.graphs import fused, mixed
from .layers import SPEC, branches, threshold, weights


@pytest.mark.parametrize("make", [mixed, lambda rng: branches(7, 20)])
def test_written_read_and_written_again(make):
    graph = make(np.random.default_rng(1))
    data = lce.to_bytes(graph)
    read = lce.from_bytes(data)
    assert same_graph(read, graph)
    assert lce.to_bytes(read) == data


def test_thresholds_survive_their_forms():
    rng = np.random.default_rng(0)
    for taps in (1, 2, 27, 4608):
        tau = rng.integers(-taps - 3, taps + 4, 500).astype(np.int32)
        tau[::7] = ALWAYS
        op = Threshold(tau, rng.random(500) < 0.5)
        limit, odd = limits(op, taps)
        np.testing.assert_array_equal(from_limits(limit, odd, op.flip, taps), tau)
        np.testing.assert_array_equal(from_offsets(offsets(op), op.flip), tau)


def test_saving_replaces_the_file_whole(tmp_path):
    graph, path = branches(0, 3), tmp_path / "model.tflite"
    lce.save(branches(1, 3), path)
    lce.save(graph, path)
    assert same_graph(lce.load(path), graph)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="cannot write"):
        lce.save(graph, tmp_path / "missing" / "model.tflite")
    with pytest.raises(UsageError, match="cannot read"):
        lce.load(tmp_path / "nothing.tflite")
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(FileFormatError, match=r"model\.tflite: not a TensorFlow Lite file"):
        lce.load(path)


def test_truncated_files_are_refused():
    data = lce.to_bytes(branches(0, 4))
    for length in range(0, len(data) - 16, 101):
        with pytest.raises(FileFormatError):
            lce.from_bytes(data[:length])


def changed(change):
    container = decode(lce.to_bytes(branches(0, 6)))
    return encode(change(container))


def constant(container, end, value):
    """The container with one number of the first constant whose name ends so set to ``value``."""
    index = next(i for i, t in enumerate(container.tensors) if t.name.endswith(end) and t.data is not None)
    data = container.tensors[index].data.copy()
    data.flat[0] = value
    tensors = list(container.tensors)
    tensors[index] = replace(tensors[index], data=data)
    return replace(container, tensors=tuple(tensors))


def described(container, old, new):
    text = container.metadata[KEY].replace(old, new, 1)
    assert text != container.metadata[KEY]
    return replace(container, metadata={KEY: text})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: replace(c, operators=c.operators[:-1]), "the file was changed"),
        (lambda c: constant(c, "/shape", 3), "the file was changed"),
        (lambda c: constant(c, "/pads", 1), "the file was changed"),
        (lambda c: described(c, b'"format":1', b'"format":2'), "format 2"),
        (lambda c: described(c, b'"format":1', b'"format":[' + b"[" * 5000), "damaged"),
        (lambda c: described(c, b'"height":9', b'"height":1e999'), "damaged"),
        (lambda c: described(c, b'"strides":[1,1]', b'"strides":[1]'), "'strides' in the description is"),
        (lambda c: described(c, b'"strides":[1,1]', b'"strides":[0,1]'), "outside"),
        (lambda c: described(c, b'"in_channels":2', b'"in_channels":9999999999'), "'in_channels' in the description"),
        (lambda c: described(c, b'"op":"PixelInput"', b'"op":"__import__"'), "'__import__' is not an operator"),
        (lambda c: described(c, b'"flip":"', b'"flip":"zz'), "not hexadecimal"),
        (lambda c: described(c, b'"flip":"', b'"flip":"00'), "bytes for"),
    ],
)
def test_each_damage_has_its_message(change, message):
    with pytest.raises(FileFormatError, match=message):
        lce.from_bytes(changed(change))


def small(*nodes):
    return Graph(SPEC, (*nodes, Node("out", lce_affine(), ("flat",))))


def lce_affine():
    from bnn_toolchain.converters.graph.ops import Affine

    return Affine(np.ones(144, np.float32), np.zeros(144, np.float32))


def test_what_lce_lacks_is_named():
    with pytest.raises(Unsupported, match="second: a binary convolution of 2 groups with 9 input channels each"):
        lce.to_bytes(fused(np.random.default_rng(0)))
    with pytest.raises(Unsupported, match="lower the graph first"):
        lce.to_bytes(
            small(Node("input", PixelInput(0), (INPUT,)), Node("flat", Flatten(channels_last=False), ("input",)))
        )
    with pytest.raises(Unsupported, match="hold no '/'"):
        lce.to_bytes(
            small(
                Node("input", PixelInput(0), (INPUT,)),
                Node("a/b", Flatten(), ("input",)),
                Node("flat", Flatten(), ("input",)),
            )
        )
    two = np.ones(2, np.float32)
    with pytest.raises(Unsupported, match=r"offsets \[0, 7\]: LCE's input has one"):
        lce.to_bytes(
            small(
                Node("input", PixelInput(7), (INPUT,)),
                Node("other", PixelNormalize(two, two), (INPUT,)),
                Node("flat", Flatten(), ("input",)),
            )
        )


def test_constructions_are_named():
    rng = np.random.default_rng(0)
    first = BinaryConv2dThreshold(BinaryConv2d(weights(rng, 33, 1, 1, 2), 2), threshold(rng, 33, 9))
    odd = BinaryConv2d(weights(rng, 16, 3, 3, 33), 33, pads=(1, 1, 1, 1))
    graph = branches(0, 1)
    nodes = (
        graph.nodes[0],
        Node("first", first, ("input",)),
        Node("zero", BinaryConv2dThreshold(odd, threshold(rng, 16, 99)), ("first",)),
        Node("bits", Flatten(), ("zero",)),
        *graph.nodes[-3:],
    )
    found: dict[str, str] = {}
    for construction in lce.constructions(graph.replace(nodes)):
        found[construction.node] = found.get(construction.node, "") + construction.how
    assert "a constant of 4608 bytes" in found["zero"]
    assert "16 channels do not fill words" in found["bits"]
    assert "unpacked in each run" in found["first"]


def test_nothing_imports_tensorflow():
    root = Path(__file__).parents[2]
    modules = [path for name in ("bnn_toolchain", "converters", "runtime") for path in (root / name).rglob("*.py")]
    assert len(modules) > 50
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "tensorflow"], path
