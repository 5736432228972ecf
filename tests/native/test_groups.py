"""Nodes that run row by row with the one before: what a later row reads is still there, whatever took its place."""

import numpy as np
import pytest

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    BinaryConv2d,
    Conv,
    MaxPool,
    PixelInput,
    PixelNormalize,
    PRelu,
    Sign,
    Threshold,
)

from .agree import agree, images, signs, spec

SHAPE = (64, 61, 16)  # so large that a group has several bands of rows


def reals(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def affine(rng):
    return Affine(reals(rng, SHAPE[2]), reals(rng, SHAPE[2]))


def check(*nodes):
    """``nodes``: name, operator, inputs."""
    rng = np.random.default_rng(0)
    normalize = PixelNormalize(np.full(SHAPE[2], 1 / 64, np.float32), np.full(SHAPE[2], 128, np.float32))
    graph = Graph(spec(*SHAPE), (Node("x", normalize, (INPUT,)), *(Node(*node) for node in nodes)), "torch 2.13.0")
    agree(graph, images(rng, SHAPE, "random"))


def test_rows_of_a_value_that_is_read_by_a_later_row():
    rng = np.random.default_rng(1)
    conv = Conv(reals(rng, SHAPE[2], SHAPE[2], 3, 3), None, pads=(1, 1, 1, 1))
    check(("sums", conv, ("x",)), ("scaled", affine(rng), ("sums",)), ("both", Add(), ("scaled", "sums")))


def test_a_window_reads_what_is_added_later():
    pool = MaxPool((3, 3), (1, 1), (1, 1, 1, 1))
    check(("pool", pool, ("x",)), ("sum", Add(), ("pool", "x")), ("again", Add(), ("sum", "pool")))


def test_a_residual_block_whose_shortcut_is_added_in_its_place():
    rng = np.random.default_rng(2)
    conv = BinaryConv2d(signs(rng, SHAPE[2], 3, 3, SHAPE[2]), SHAPE[2], pads=(1, 1, 1, 1), pad_value=1)
    block = [
        ("bits", Sign(), ("x",)),
        ("sums", conv, ("bits",)),
        ("scaled", affine(rng), ("sums",)),
        ("added", Add(), ("scaled", "x")),
        ("bent", PRelu(reals(rng, SHAPE[2])), ("added",)),
        ("next bits", Sign(), ("bent",)),
        ("next sums", conv, ("next bits",)),
        ("next scaled", affine(rng), ("next sums",)),
        ("next added", Add(), ("next scaled", "bent")),
    ]
    check(*block)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_few_rows(rows):
    rng = np.random.default_rng(rows)
    shape = (rows, 3000, 8)
    conv = BinaryConv2d(signs(rng, 24, 1, 3, 8), 8)
    threshold = Threshold(np.zeros(8, np.int32), np.zeros(8, np.bool_))
    nodes = (
        Node("input", PixelInput(128), (INPUT,)),
        Node("bits", threshold, ("input",)),
        Node("sums", conv, ("bits",)),
        Node("scaled", Affine(reals(rng, 24), reals(rng, 24)), ("sums",)),
    )
    agree(Graph(spec(*shape), nodes, "torch 2.13.0"), images(rng, shape, "random"))
