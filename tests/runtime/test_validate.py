"""Validation counts what differs, says where, and fails when an engine breaks its contract."""

from dataclasses import replace

import numpy as np
import pytest

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph.graph import Node
from bnn_toolchain.converters.graph.ops import Affine, BinaryConv2dThreshold, Threshold
from bnn_toolchain.converters.reference import run
from bnn_toolchain.converters.rounding import OWN_ORDER
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.runtime.checks.validate import Contender, validate
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.engine import open_session
from tests.converters.graphs import fused, images, mixed

GRAPH = fused(np.random.default_rng(5))
MODEL = onnx.to_bytes(GRAPH)
IMAGES = images(np.random.default_rng(6), GRAPH.spec, 130)


def contender(engine, model=MODEL):
    return Contender(engine, "local", open_session(engine, model))


def changed(name, change):
    """The model with one operator exchanged."""
    return onnx.to_bytes(
        GRAPH.replace(Node(n.name, change(n.op) if n.name == name else n.op, n.inputs) for n in GRAPH.nodes)
    )


def one_tau(op: BinaryConv2dThreshold) -> BinaryConv2dThreshold:
    """One threshold is one higher: the bits differ where the accumulator is equal to it."""
    tau = op.threshold.tau.copy()
    tau[3] += 1
    return replace(op, threshold=Threshold(tau, op.threshold.flip))


def test_engines_that_agree():
    labels = run(GRAPH, IMAGES).argmax(axis=1)
    labels[:13] = (labels[:13] + 1) % 4
    told = []
    engines = [contender("onnxruntime"), contender("reference"), contender("native")]
    report = validate(GRAPH, engines, IMAGES, labels, progress=lambda done, of: told.append((done, of)))
    report.check()
    for row in report.rows:
        assert (row.images, row.predictions_equal, row.logits_equal, row.logits_difference) == (130, 130, 130, 0)
        assert row.contract == Contract(shows=GRAPH.hidden_bits()) and not row.failures
        assert (row.correct, row.accuracy) == (117, 0.9)
        assert row.hidden_images == 100 and not row.hidden_missing
        assert [layer.name for layer in row.hidden] == list(GRAPH.hidden_bits())
        assert row.hidden[0].bits == 18 * 9 * 7 * 100
        assert row.bits_compared == sum(layer.bits for layer in row.hidden)
    assert told == [(50, 130), (100, 130), (130, 130)]


@pytest.mark.parametrize("engine", ["onnxruntime", "native"])
def test_one_wrong_threshold_is_found(engine):
    report = validate(GRAPH, [contender(engine, changed("first", one_tau))], IMAGES)
    layer = report.rows[0].hidden[0]
    differing = [
        index
        for index in range(100)
        if (
            open_session("reference", changed("first", one_tau)).run_hidden(IMAGES[[index]])[1]["first"]
            != open_session("reference", MODEL).run_hidden(IMAGES[[index]])[1]["first"]
        ).any()
    ]
    assert layer.name == "first" and layer.images_differing == len(differing) > 0
    assert layer.first_differing == differing[0]
    with pytest.raises(CheckFailed, match=f"{engine} on local: the bits of 'first' differ on {len(differing)} of 100"):
        report.check()


def test_wrong_logits_and_predictions_are_found():
    other = changed("logits", lambda op: Affine(op.scale, op.offset + np.float32([0, 0, 1e-5, 0])))
    report = validate(GRAPH, [contender("onnxruntime", other)], IMAGES)
    assert report.rows[0].logits_equal == 0 and 0 < report.rows[0].logits_difference < 1e-5
    with pytest.raises(CheckFailed, match="the logits of 130 of 130 images differ"):
        report.check()
    other = changed("logits", lambda op: Affine(-op.scale, op.offset))
    with pytest.raises(CheckFailed, match="of 130 predictions differ"):
        validate(GRAPH, [contender("reference", other)], IMAGES).check()


def test_bits_are_compared_on_exactly_the_images_asked_for():
    for asked, compared in ((0, 0), (7, 7), (50, 50), (51, 51), (200, 130)):
        row = validate(GRAPH, [contender("onnxruntime")], IMAGES, hidden_images=asked).rows[0]
        assert row.hidden_images == compared and row.images == row.logits_equal == 130
        assert row.bits_compared == sum(layer.bits for layer in row.hidden)
        assert [layer.bits for layer in row.hidden][:1] == [18 * 9 * 7 * compared][: len(row.hidden)]
        assert bool(row.hidden) == (compared > 0)


def test_sums_of_reals_may_differ_in_onnxruntime_but_not_in_native():
    graph = mixed(np.random.default_rng(2))
    model, pixels = onnx.to_bytes(graph), images(np.random.default_rng(3), graph.spec, 20)
    stock, ours, native = validate(
        graph, [contender(name, model) for name in ("onnxruntime", "reference", "native")], pixels
    ).rows
    assert stock.contract == Contract(graph.hidden_bits(), logits=OWN_ORDER, reals=OWN_ORDER)
    assert ours.contract == native.contract == Contract(graph.hidden_bits())
    assert not ours.failures and not native.failures


def test_wrong_input():
    with pytest.raises(UsageError, match="no images"):
        validate(GRAPH, [contender("reference")], IMAGES[:0])
    with pytest.raises(UsageError, match=r"130 images have labels of shape \[129\]"):
        validate(GRAPH, [contender("reference")], IMAGES, np.zeros(129, np.int64))
    with pytest.raises(UsageError, match="the model takes uint8"):
        validate(GRAPH, [contender("reference")], IMAGES[:, 1:])
