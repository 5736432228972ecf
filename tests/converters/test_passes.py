import numpy as np
import pytest
import torch
from torch.nn import functional

from bnn_toolchain.converters import lower
from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.ops import (
    ACC_LIMIT,
    ALWAYS,
    Add,
    Affine,
    BatchNorm,
    Bias,
    BinaryConv2d,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Flatten,
    Gemm,
    GlobalAveragePool,
    Hardtanh,
    Kind,
    MaxPool,
    PixelInput,
    PixelNormalize,
    Relu,
    Scale,
    Sign,
    Threshold,
    ToReal,
    Value,
)
from bnn_toolchain.converters.passes.affine import affine
from bnn_toolchain.converters.passes.early_pool import early_pool
from bnn_toolchain.converters.passes.early_sign import early_sign
from bnn_toolchain.converters.passes.flatten import flatten
from bnn_toolchain.converters.passes.fuse import fuse
from bnn_toolchain.converters.passes.integer_input import integer_input
from bnn_toolchain.converters.passes.thresholds import bisect, thresholds
from bnn_toolchain.converters.reference import run
from bnn_toolchain.errors import CheckFailed, Unsupported
from bnn_toolchain.input_spec import InputSpec

from .graphs import SPEC, chain, images, packed

NORMALISE = ("input", PixelNormalize(np.float32(SPEC.scale), np.float32(SPEC.offset)))
POOL = MaxPool((2, 2), (2, 2))


def f32(*values):
    return np.array(values, np.float32)


def norm(rng, channels):
    gamma, beta, mean = (rng.normal(size=channels).astype(np.float32) for _ in range(3))
    return BatchNorm(gamma, beta, mean, rng.uniform(0.1, 9, channels).astype(np.float32), 1e-5)


def kinds(graph):
    return [type(node.op) for node in graph.nodes]


def head(rng, features):
    return ("logits", Gemm(rng.normal(size=(4, features)).astype(np.float32), None))


def same_output(a, b, seed=0):
    pixels = images(np.random.default_rng(seed), a.spec, 5)
    np.testing.assert_array_equal(run(a, pixels), run(b, pixels))


def test_integer_input_reaches_layers_through_pooling_and_flattening():
    rng = np.random.default_rng(0)
    steps = (("pool", POOL), ("flat", Flatten(False)), ("dense", BinaryDense(packed(rng, 4, 36), 36)))
    graph = chain(SPEC, NORMALISE, *steps)
    lowered = integer_input(graph)
    assert kinds(lowered) == [PixelInput, MaxPool, Flatten, BinaryDense, ToReal, Scale]
    same_output(graph, lowered)  # exact: the scale is a power of two


@pytest.mark.parametrize(
    "step", [BinaryConv2d(packed(np.random.default_rng(0), 4, 3, 3, 3), 3, pads=(1,) * 4, pad_value=1), Relu()]
)
def test_integer_input_leaves_readers_of_reals_alone(step):
    graph = chain(SPEC, NORMALISE, ("reader", step))
    assert integer_input(graph) is graph


def test_integer_input_leaves_per_channel_normalisation_alone():
    spec = InputSpec(4, 4, 2, (0.5, 0.25), (128.0, 128.0), ("a",))
    conv = BinaryConv2d(packed(np.random.default_rng(0), 4, 3, 3, 2), 2)
    graph = chain(spec, ("input", PixelNormalize(np.float32(spec.scale), np.float32(spec.offset))), ("conv", conv))
    assert integer_input(graph) is graph


def test_pixels_that_could_pass_the_limit_are_refused():
    side = 363  # 131,769 pixels of magnitude up to 128
    spec = InputSpec(side, side, 1, (1 / 128,), (128.0,), ("a",))
    wide = np.zeros((1, (side * side + 7) // 8), np.uint8)
    steps = (("flat", Flatten(False)), ("dense", BinaryDense(wide, side * side)))
    graph = chain(spec, ("input", PixelNormalize(f32(1 / 128), f32(128))), *steps)
    with pytest.raises(Unsupported, match=f"dense.*can reach {128 * side * side}, the limit is {ACC_LIMIT - 1}"):
        lower(graph)


def real_conv(rng):
    return ("conv", BinaryConv2d(packed(rng, 6, 2, 2, 3), 3, pad_value=1))


def test_a_sign_moves_before_pooling_and_flattening():
    rng = np.random.default_rng(0)
    steps = (real_conv(rng), ("pool", POOL), ("flat", Flatten(False)), ("sign", Sign()))
    graph = chain(SPEC, NORMALISE, *steps, ("real", ToReal()), head(rng, 72))
    moved = early_sign(graph)
    assert kinds(moved)[2:5] == [Sign, MaxPool, Flatten]
    assert moved.nodes[4].name == "sign"
    same_output(graph, moved)


def test_pooling_moves_before_what_never_decreases_and_stays_behind_a_batch_norm():
    rng = np.random.default_rng(0)
    steps = (("scale", Scale(f32(*[0.5] * 6))), ("bias", Bias(rng.normal(size=6).astype(np.float32))), ("relu", Relu()))
    tail = (("hard", Hardtanh()), ("pool", POOL), ("flat", Flatten(False)), head(rng, 72))
    graph = chain(SPEC, NORMALISE, real_conv(rng), *steps, *tail)
    moved = early_pool(graph)
    assert kinds(moved)[1:7] == [BinaryConv2d, MaxPool, Scale, Bias, Relu, Hardtanh]
    same_output(graph, moved)
    falling = chain(SPEC, NORMALISE, real_conv(rng), ("scale", Scale(f32(*[-0.5] * 6))), ("pool", POOL))
    assert kinds(early_pool(falling))[2:] == [Scale, MaxPool]
    normed = chain(SPEC, NORMALISE, real_conv(rng), ("norm", norm(rng, 6)), ("pool", POOL))
    assert kinds(early_pool(normed))[2:] == [BatchNorm, MaxPool]


@pytest.mark.parametrize("bound", [9, 2**8 + 1, 2**15 + 1, 2**16 + 1, ACC_LIMIT - 1])
@pytest.mark.parametrize("shape", [(64,), (64, 5, 3)])
def test_thresholds_are_torchs_own_decisions(bound, shape):
    rng = np.random.default_rng(bound)
    bn = norm(rng, 64)
    reached = rng.integers(-bound, bound + 1, 64)
    reached[:3] = -bound, bound, 0
    mean = reached.astype(np.float32)
    gamma, beta = bn.gamma.copy(), bn.beta.copy()
    gamma[60:], beta[3:40] = 0, 0  # constants; ties at the mean
    op = BatchNorm(gamma, beta, mean, bn.var, bn.eps)
    found = bisect("sign", [op], Value("acc", Kind.ACC, shape, bound))
    around = np.concatenate([reached + d for d in range(-4, 5)] + [rng.integers(-bound, bound + 1, 64 * 20)])
    acc = np.clip(around, -bound, bound).reshape(-1, 64)
    torched = functional.batch_norm(
        torch.from_numpy(acc.astype(np.float32))
        .reshape(-1, 64, *[1] * (len(shape) - 1))
        .expand(-1, *shape)
        .contiguous(),
        *(torch.from_numpy(a) for a in (mean, bn.var, gamma, beta)),
        training=False,
        eps=bn.eps,
    )
    expected = (torched >= 0).reshape(len(acc), 64, -1)[:, :, 0].numpy()
    np.testing.assert_array_equal((acc >= found.tau) ^ found.flip, expected)
    np.testing.assert_array_equal(found.tau[60:], ALWAYS)
    np.testing.assert_array_equal(found.flip[60:], beta[60:] < 0)


def test_no_chain_is_the_threshold_zero():
    found = bisect("sign", [], Value("acc", Kind.ACC, (2,), 5))
    assert found.tau.tolist() == [0, 0]
    assert found.flip.tolist() == [False, False]


def test_what_is_not_monotone_is_refused():
    overflow = [Scale(f32(3e38)), Scale(f32(1e38)), BatchNorm(f32(0), f32(1), f32(0), f32(1), 1e-5)]  # 0 * inf is NaN
    with pytest.raises(CheckFailed, match="not monotone"):
        bisect("sign", overflow, Value("acc", Kind.ACC, (1,), 5))


def test_a_norm_of_bits_keeps_negates_or_fixes_them():
    rng = np.random.default_rng(3)
    bits = (real_conv(rng), ("first", Sign()), ("first.real", ToReal()))
    op = BatchNorm(f32(1, -1, 0, 0, 0.1, -0.1), f32(0, 0, 1, -1, 5, -5), f32(*[0] * 6), f32(*[1] * 6), 1e-5)
    tail = (("sign", Sign()), ("real", ToReal()), ("mean", GlobalAveragePool()))
    graph = chain(SPEC, NORMALISE, *bits, ("norm", op), *tail)
    lowered = thresholds(graph)
    kept = next(node.op for node in lowered.nodes if isinstance(node.op, Affine))
    assert kept.scale.tolist() == [1, -1, 0, 0, 0, 0]
    assert kept.offset.tolist() == [0, 0, 1, -1, 1, -1]


def test_a_sign_of_a_sum_stays_a_sign():
    rng = np.random.default_rng(0)
    nodes = chain(SPEC, NORMALISE, real_conv(rng), ("relu", Relu())).nodes
    nodes += (Node("sum", Add(), ("conv", "relu")), Node("sign", Sign(), ("sum",)), Node("real", ToReal(), ("sign",)))
    assert Sign in kinds(lower(Graph(SPEC, nodes)))


def test_affine_folds_in_float64_and_rounds_once():
    rng = np.random.default_rng(0)
    first, second, scale = norm(rng, 4), norm(rng, 4), f32(0.3, -0.7, 1e-3, 9)
    steps = (("dense", BinaryDense(packed(rng, 4, 189), 189)), ("real", ToReal()), ("a", first), ("b", Scale(scale)))
    graph = chain(SPEC, ("input", PixelInput(128)), ("flat", Flatten()), *steps, ("logits", second))
    folded = affine(graph)
    assert kinds(folded) == [PixelInput, Flatten, BinaryDense, Affine]
    op = folded.nodes[-1].op
    wide = [[p.astype(np.float64) for p in (n.gamma, n.beta, n.mean, n.var)] for n in (first, second)]
    x = np.array([[0.0] * 4, [1.0] * 4])
    for i, (gamma, beta, mean, var) in enumerate(wide):
        x = (x - mean) / np.sqrt(var + 1e-5) * gamma + beta
        x = x * scale if i == 0 else x
    np.testing.assert_allclose(op.offset, x[0], rtol=1e-6)
    np.testing.assert_allclose(op.scale, x[1] - x[0], rtol=1e-6)


def test_flatten_permutes_everything_behind_it_once():
    rng = np.random.default_rng(0)
    conv = ("conv", BinaryConv2d(packed(rng, 6, 2, 2, 3), 3))
    features = 6 * 8 * 6
    tau = rng.integers(-100, 100, features).astype(np.int32)
    behind = (("flat", Flatten(False)), ("sign", Threshold(tau, rng.random(features) < 0.5)))
    dense = ("dense", BinaryDense(packed(rng, 4, features), features))
    graph = chain(SPEC, ("input", PixelInput(128)), conv, *behind, dense, ("real", ToReal()))
    last = flatten(graph)
    assert all(node.op.channels_last for node in last.nodes if isinstance(node.op, Flatten))
    same_output(graph, last)
    mixed = chain(SPEC, NORMALISE, ("flat", Flatten(False)), ("relu", Relu()), head(rng, 189))
    same_weights = flatten(mixed).nodes[-1].op.weight
    order = np.arange(189).reshape(3, 9, 7).transpose(1, 2, 0).ravel()
    np.testing.assert_array_equal(same_weights, mixed.nodes[-1].op.weight[:, order])


def test_a_flattened_output_is_refused():
    with pytest.raises(Unsupported, match="end with a dense layer"):
        flatten(chain(SPEC, NORMALISE, ("flat", Flatten(False))))


def test_fusing_keeps_the_name_of_the_bits_and_values_that_others_read():
    rng = np.random.default_rng(0)
    threshold = Threshold(rng.integers(-9, 9, 6).astype(np.int32), rng.random(6) < 0.5)
    conv = BinaryConv2d(packed(rng, 6, 2, 2, 3), 3)
    second = BinaryConv2d(packed(rng, 6, 2, 2, 6), 6)
    tail = (
        ("flat", Flatten()),
        ("dense", BinaryDense(packed(rng, 6, 36), 36)),
        ("bits", threshold),
        ("real", ToReal()),
    )
    steps = (("conv", conv), ("s1", threshold), ("conv2", second), ("pool", POOL), ("s2", threshold))
    graph = chain(SPEC, ("input", PixelInput(128)), *steps, *tail)
    fused = fuse(graph)
    wanted = [PixelInput, BinaryConv2dThreshold, BinaryConv2dMaxPoolThreshold, Flatten, BinaryDenseThreshold, ToReal]
    assert kinds(fused) == wanted
    assert fused.hidden_bits() == ("s1", "s2", "flat", "bits")
    same_output(graph, fused)
    nodes = (
        Node("input", PixelInput(128), (INPUT,)),
        Node("conv", conv, ("input",)),
        Node("bits", threshold, ("conv",)),
        Node("a", ToReal(), ("conv",)),
        Node("b", ToReal(), ("bits",)),
        Node("sum", Add(), ("a", "b")),
    )
    assert kinds(fuse(Graph(SPEC, nodes))) == [PixelInput, BinaryConv2d, Threshold, ToReal, ToReal, Add]
