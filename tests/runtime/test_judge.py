"""Engines that lie in every way that an engine can: each is found, and the report says where first."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    Affine,
    BinaryDense,
    Conv,
    Flatten,
    PixelNormalize,
    Sign,
    ToReal,
    unpack_bits,
)
from bnn_toolchain.converters.reference import run, run_hidden
from bnn_toolchain.converters.rounding import LAST_BITS, OWN_ORDER
from bnn_toolchain.errors import CheckFailed, Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.checks.validate import Contender, validate
from bnn_toolchain.runtime.engines.contract import Contract
from tests.converters.graphs import fused, images, packed

GRAPH = fused(np.random.default_rng(5))
IMAGES = images(np.random.default_rng(6), GRAPH.spec, 130)
LAYERS = GRAPH.hidden_bits()


@dataclass
class Fake:
    """The reference, but for what ``change`` does to its logits and hidden bits, given the images as well."""

    change: Callable[..., tuple] = lambda images, logits, hidden: (logits, hidden)
    promise: Contract | None = None  # exact and everything if it is None
    graph: Graph = field(default_factory=lambda: GRAPH)

    def run(self, images):
        return self.run_hidden(images)[0]

    def run_hidden(self, images):
        return self.change(images, *run_hidden(self.graph, images))

    def contract(self, graph):
        return self.promise or Contract(graph.hidden_bits())


def judged(change, promise=None, **settings):
    return validate(GRAPH, [Contender("fake", "here", Fake(change, promise))], IMAGES, **settings)


def failures(change, promise=None, **settings):
    report = judged(change, promise, **settings)
    with pytest.raises(CheckFailed, match=r"^validation failed:\n  fake on here: "):
        report.check()
    return report.rows[0].failures


def on(image, change):
    """``change`` of the logits [classes], in place, where ``image`` is the one of that index."""

    def changed(images, logits, hidden):
        for index in np.flatnonzero((images == IMAGES[image]).all((1, 2, 3))):
            change(logits[index])
        return logits, hidden

    return changed


def logit(index, value):
    return lambda logits: logits.__setitem__(index, value)


def test_an_honest_engine_passes():
    judged(lambda images, logits, hidden: (logits, hidden)).check()


@pytest.mark.parametrize("promise", [None, Contract(LAYERS, logits=LAST_BITS), Contract(LAYERS, OWN_ORDER, OWN_ORDER)])
@pytest.mark.parametrize("image", [3, 120])  # with and without hidden bits
def test_nan(promise, image):
    found = failures(on(image, logit(2, np.nan)), promise)
    assert f"the logits of 1 of 130 images are NaN, first of image {image}" in found
    expected = run(GRAPH, IMAGES[[image]])[0, 2]
    assert found[-1] == f"first: image {image}, the logit of 'Käse': expected {expected}, found nan"


def test_nan_that_the_reference_has_too():
    broken = GRAPH.replace(
        [*GRAPH.nodes[:-1], Node("logits", Affine(np.float32([1, np.nan, 1, 1]), np.zeros(4, np.float32)), ("head",))]
    )
    contender = Contender("fake", "here", Fake(graph=broken))
    (row,) = validate(broken, [contender], IMAGES[:7]).rows
    assert row.logits_equal == 7
    assert row.failures[0] == "the logits of 7 of 7 images are NaN, first of image 0"
    assert row.failures[-1] == "first: image 0, the logit of 'dog': expected nan, found nan"


def test_infinity_is_a_number_like_others():
    weights = Affine(np.float32([1, np.inf, 1, 1]), np.ones(4, np.float32))
    infinite = GRAPH.replace([*GRAPH.nodes[:-1], Node("logits", weights, ("head",))])
    for promise in (Contract(LAYERS), Contract(LAYERS, logits=LAST_BITS)):
        validate(infinite, [Contender("fake", "here", Fake(promise=promise, graph=infinite))], IMAGES[:7]).check()


def without(*names):
    return lambda images, logits, hidden: (logits, {name: hidden[name] for name in hidden if name not in names})


def test_a_promised_layer_that_is_not_shown():
    assert failures(without("second")) == ("it shows no bits of 'second', which its contract promises",)
    some = Contract(tuple(name for name in LAYERS if name not in ("second", "flat")))
    report = judged(without("second", "flat"), some)
    report.check()
    assert report.rows[0].hidden_missing == ("second", "flat")
    assert "it shows no bits of 'dense'" in failures(without("second", "flat", "dense"), some)[0]
    assert "it shows no bits of 'act'" in failures(without(), Contract(("act",)))[0]
    judged(without("second"), hidden_images=0).check()


def test_a_layer_too_many():
    def extra(images, logits, hidden):
        return logits, hidden | {"third": hidden["flat"]}

    with pytest.raises(CheckFailed, match="fake on here yields bits of 'third', which the model does not have"):
        judged(extra)


def reshaped(change):
    return lambda images, logits, hidden: (change(logits), hidden)


def rebit(change):
    return lambda images, logits, hidden: (logits, hidden | {"second": change(hidden["second"])})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (reshaped(lambda x: x[:, :3]), r"yields logits as float32 \[50, 3\], not float32 \[50, 4\]"),
        (reshaped(lambda x: x[:-1]), r"\[49, 4\], not float32 \[50, 4\]"),
        (reshaped(lambda x: x[..., None]), r"\[50, 4, 1\], not"),
        (reshaped(lambda x: x.astype(np.float64)), r"float64 \[50, 4\], not float32"),
        (reshaped(lambda x: x.view(np.int32)), r"int32 \[50, 4\], not float32"),
        (rebit(lambda x: x[:, :-1]), r"yields bits of 'second' as uint8 \[50, .*\], not uint8 \[50, "),
        (rebit(lambda x: x.view(np.bool_)), r"yields bits of 'second' as bool"),
        (rebit(lambda x: x.astype(np.int8)), r"yields bits of 'second' as int8"),
    ],
)
def test_another_shape_or_type(change, words):
    with pytest.raises(CheckFailed, match=words):
        judged(change)


def test_minus_zero_is_not_zero():
    zero = GRAPH.replace(
        [*GRAPH.nodes[:-1], Node("logits", Affine(np.zeros(4, np.float32), np.zeros(4, np.float32)), ("head",))]
    )

    def negative(images, logits, hidden):
        logits[:, 1] = -0.0
        return logits, hidden

    for limit, failing in ((0.0, 1), (LAST_BITS, 0)):
        fake = Fake(negative, Contract(LAYERS, logits=limit), zero)
        (row,) = validate(zero, [Contender("fake", "here", fake)], IMAGES[:5]).rows
        assert row.logits_equal == 0 and len(row.failures) == 2 * failing
    fake = Fake(negative, None, zero)
    (row,) = validate(zero, [Contender("fake", "here", fake)], IMAGES[:5]).rows
    assert row.failures[-1] == "first: image 0, the logit of 'dog': expected 0.0, found -0.0"


def flipped(layer, image, *place):
    """One bit of ``layer`` of one image: row, column, byte and bit, or byte and bit."""

    def changed(images, logits, hidden):
        *byte, bit = place
        for index in np.flatnonzero((images == IMAGES[image]).all((1, 2, 3))):
            hidden[layer][index, *byte] ^= 1 << bit
        return logits, hidden

    return changed


def test_one_flipped_bit_is_found_and_placed():
    bits = unpack_bits(run_hidden(GRAPH, IMAGES[[40]])[1]["first"], 18)[0]
    expected, found = ("+1", "-1") if bits[4, 5, 9] > 0 else ("-1", "+1")
    assert failures(flipped("first", 40, 4, 5, 1, 1)) == (
        "the bits of 'first' differ on 1 of 100 images, first on image 40",
        f"first: image 40, 'first', channel 9, row 4, column 5: expected {expected}, found {found}",
    )


def test_a_flipped_bit_of_the_tail():
    assert failures(flipped("dense", 7, 1, 6))[-1] == (
        "first: image 7, 'dense', channel 14 (a tail bit: there is no such channel): expected +1, found -1"
    )


def test_an_engine_that_changes_its_input():
    def changed(images, logits, hidden):
        images[-1, 0, 0, 0] ^= 1
        return logits, hidden

    for hidden_images in (100, 0):
        with pytest.raises(CheckFailed, match="fake on here changed the images that it was given"):
            judged(changed, hidden_images=hidden_images)


def test_the_first_mismatch_is_the_one_reported():
    def both(images, logits, hidden):
        return flipped("dense", 60, 0, 0)(images, *on(20, logit(0, 99.0))(images, logits, hidden))

    assert failures(both)[-1].startswith("first: image 20, the logit of 'cat': expected ")
    assert failures(both)[-1].endswith(", found 99.0")


def margin(logits):
    """The classes of the largest and the second logit."""
    second, first = np.argsort(logits)[-2:]
    return first, second


def test_a_near_tie_is_counted_but_passes_only_within_the_bound():
    expected = run(GRAPH, IMAGES)
    largest = np.abs(expected).max()
    image = int(np.argmin(-np.diff(np.sort(expected)[:, -2:])[:, 0] * -1))
    first, second = margin(expected[image])
    gap = (expected[image, first] - expected[image, second]) / largest
    overtake = on(image, logit(second, np.nextafter(expected[image, first], np.float32(np.inf))))
    report = judged(overtake, Contract(LAYERS, logits=float(gap) * 1.01))
    report.check()
    row = report.rows[0]
    assert (row.predictions_equal, row.near_ties, row.logits_equal) == (129, 1, 129)
    assert row.logits_difference == pytest.approx(gap, rel=1e-3)
    found = failures(overtake, Contract(LAYERS, logits=float(gap) * 0.99))
    assert found[0] == "1 of 130 predictions differ"
    assert "the logits of 1 of 130 images differ, by more than" in found[1]
    assert failures(overtake)[0] == "1 of 130 predictions differ"  # an exact contract allows none


def test_no_model_but_a_classifier_is_judged():
    narrow = Graph(InputSpec(9, 7, 3, (1 / 128,) * 3, (128.0,) * 3, ("a", "b", "c")), GRAPH.nodes)
    with pytest.raises(Unsupported, match="yields 4 numbers"):
        validate(narrow, [], IMAGES)


# A network whose first layer sums reals, so that an engine with an order of its own may turn a sign that is almost 0.
REALS = Graph(
    GRAPH.spec,
    (
        Node("input", PixelNormalize(np.float32([0.1] * 3), np.float32([128] * 3)), (INPUT,)),
        Node("conv", Conv(np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32), None), ("input",)),
        Node("sign", Sign(), ("conv",)),
        Node("flat", Flatten(), ("sign",)),
        Node("dense", BinaryDense(packed(np.random.default_rng(1), 4, 175), 175), ("flat",)),
        Node("logits", ToReal(), ("dense",)),
    ),
)


def turned(rank, image=11):
    """Turns the sign of ``image`` whose real is the ``rank``-th nearest to 0, and all that follows from it."""
    conv = run(REALS.replace(REALS.nodes[:2]), IMAGES[[image]])[0].transpose(1, 2, 0)
    place = np.unravel_index(np.argsort(np.abs(conv), axis=None)[rank], conv.shape)
    nearness = float(np.abs(conv[place]) / np.abs(conv).max())

    def changed(images, logits, hidden):
        for index in np.flatnonzero((images == IMAGES[image]).all((1, 2, 3))):
            *where, channel = place
            hidden["sign"][index, *where, channel // 8] ^= 1 << channel % 8
            features = unpack_bits(hidden["sign"][[index]], 5).reshape(1, -1)
            hidden["flat"][index] = np.packbits(features[0] < 0, bitorder="little")
            logits[index] = features @ unpack_bits(REALS.nodes[4].op.weight, 175).T
        return logits, hidden

    return changed, nearness


@pytest.mark.parametrize("hidden_images", [100, 0])
def test_a_sign_of_almost_0_may_turn_and_no_other(hidden_images):
    change, nearness = turned(0)
    for allowed, passes in ((nearness * 1.01, True), (nearness * 0.99, False)):
        fake = Fake(change, Contract(REALS.hidden_bits(), logits=OWN_ORDER, reals=allowed), REALS)
        (row,) = validate(REALS, [Contender("fake", "here", fake)], IMAGES, hidden_images=hidden_images).rows
        assert row.logits_equal == 129 and row.hidden_images == max(hidden_images, 1)
        assert [layer.images_differing for layer in row.hidden] == [1, 1]
        assert [layer.images_wrong for layer in row.hidden] == [int(not passes), 0]
        assert bool(row.failures) != passes
        if not passes:
            assert "the bits of 'sign' differ on 1 of" in " ".join(row.failures)
            assert any(failure.startswith("the logits of 1 of 130 images differ") for failure in row.failures)
            assert row.failures[-1].startswith("first: image 11, 'sign', channel ")


def test_a_turned_sign_excuses_no_other_image_and_no_other_layer():
    change, nearness = turned(0)

    def both(images, logits, hidden):
        return on(12, logit(0, 1e6))(images, *change(images, logits, hidden))

    promise = Contract(REALS.hidden_bits(), logits=OWN_ORDER, reals=nearness * 1.01)
    (row,) = validate(REALS, [Contender("fake", "here", Fake(both, promise, REALS))], IMAGES).rows
    assert row.failures[-2].startswith("the logits of 1 of 130 images differ")
    assert row.failures[-1].startswith("first: image 12, the logit of 'cat'")

    def flat_alone(images, logits, hidden):
        signs = hidden["sign"].copy()
        return logits, change(images, logits.copy(), hidden)[1] | {"sign": signs}

    (row,) = validate(REALS, [Contender("fake", "here", Fake(flat_alone, promise, REALS))], IMAGES[:20]).rows
    assert row.failures[0] == "the bits of 'flat' differ on 1 of 20 images, first on image 11"

    def flat_shown(images, logits, hidden):
        return without("sign")(images, *change(images, logits, hidden))

    hidden_sign = Contract(("flat",), logits=OWN_ORDER, reals=nearness * 1.01)
    (row,) = validate(REALS, [Contender("fake", "here", Fake(flat_shown, hidden_sign, REALS))], IMAGES[:20]).rows
    assert not row.failures and row.hidden[0].images_differing == 1
    change, nearness = turned(5)
    (row,) = validate(REALS, [Contender("fake", "here", Fake(change, promise, REALS))], IMAGES[:20]).rows
    assert "the bits of 'sign' differ on 1 of 20 images, first on image 11" in row.failures


@pytest.mark.parametrize(("bit", "passes"), [("nearest", True), ("farther", False)])
def test_a_whole_number_next_to_its_threshold(bit, passes):
    """The first layer alone may be one off, where a contract says that it is rounded."""
    first = GRAPH.nodes[1]
    sums = GRAPH.replace([GRAPH.nodes[0], Node("sums", first.op.conv, ("input",)), Node("real", ToReal(), ("sums",))])
    distance = run(sums, IMAGES[:20]).transpose(0, 2, 3, 1).astype(np.int64) - first.op.threshold.tau
    wanted = (distance == -1) | (distance == 0) if bit == "nearest" else (distance == 1) | (distance == -2)
    image, row, column, channel = (int(axis[0]) for axis in np.nonzero(wanted))
    change = flipped("first", image, row, column, channel // 8, channel % 8)
    assert bool(failures_of(change, Contract(LAYERS, logits=LAST_BITS, rounded=("first",)))) != passes
    assert failures_of(change, Contract(LAYERS, logits=LAST_BITS))
    deep = flipped("dense", image, 0, 0)
    assert failures_of(deep, Contract(LAYERS, logits=LAST_BITS, rounded=("first",)))


def failures_of(change, promise):
    return judged(change, promise).rows[0].failures
