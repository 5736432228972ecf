"""The check of a graph against its module: what it passes, and every way of being another network that it must find."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.converters import convert, faithful, lower
from bnn_toolchain.converters.capture.capture import capture
from bnn_toolchain.converters.graph.ops import (
    Affine,
    BinaryConv2dMaxPoolThreshold,
    BinaryConv2dThreshold,
    BinaryDense,
    BinaryDenseThreshold,
    Conv,
    Relu,
    Threshold,
)
from bnn_toolchain.converters.probes import probes
from bnn_toolchain.converters.rounding import LAST_BITS, OWN_ORDER
from bnn_toolchain.errors import CheckFailed
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign

SPEC = InputSpec(8, 6, 3, (1 / 128,) * 3, (128.0,) * 3, ("a", "b", "c"))


def norm(layer):
    with torch.no_grad():
        layer.running_mean.normal_().mul_(2)
        layer.running_var.uniform_(0.5, 20)
        layer.weight.normal_()
        layer.bias.normal_()
    return layer


def binary():
    """Every layer sums integers."""
    torch.manual_seed(0)
    first = [BinaryConv2d(3, 9, 3, padding=1, pad_value=0), nn.MaxPool2d(2), norm(nn.BatchNorm2d(9)), Sign()]
    second = [BinaryConv2d(9, 7, 3, padding=1), norm(nn.BatchNorm2d(7)), Sign(), nn.Flatten()]
    third = [BinaryLinear(84, 33), norm(nn.BatchNorm1d(33)), Sign(), BinaryLinear(33, 3), norm(nn.BatchNorm1d(3))]
    return nn.Sequential(*first, *second, *third).eval()


def mixed():
    """A float layer in front, and real features at the end."""
    torch.manual_seed(0)
    first = [nn.Conv2d(3, 5, 3, padding=1), norm(nn.BatchNorm2d(5)), nn.ReLU(), norm(nn.BatchNorm2d(5)), Sign()]
    second = [BinaryConv2d(5, 6, 3), norm(nn.BatchNorm2d(6)), nn.Hardtanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*first, *second, nn.Linear(6, 3)).eval()


def changed(graph, name, op):
    return graph.replace([replace(node, op=op(node.op)) if node.name == name else node for node in graph.nodes])


def named(graph, kind):
    return next(node.name for node in graph.nodes if isinstance(node.op, kind))


def flipped(op):
    weight = op.weight.copy()
    weight.reshape(len(weight), -1)[:, 0] ^= 1  # one bit of each output: a channel may be constant
    return replace(op, weight=weight)


def nudged(threshold, by):
    return Threshold(threshold.tau + np.int32(by), threshold.flip)


def test_a_graph_of_integers_is_compared_without_a_tolerance():
    captured = capture(binary(), SPEC)
    found = faithful.check(captured, lower(captured.graph))
    assert found.roundings == ()
    assert (found.images, found.bits_near, found.bound) == (21, 0, LAST_BITS)
    assert found.bits == 23 * (9 * 12 + 7 * 12 + 33)  # the images in a batch, and two alone
    assert found.logits <= 1e-6


def test_where_reals_are_summed_the_bound_is_stated():
    captured = capture(mixed(), SPEC)
    found = faithful.check(captured, lower(captured.graph))
    assert found.roundings[0] == "0 sums reals"
    assert found.bound == OWN_ORDER
    assert "bits may differ within the bound of a threshold, since 0 sums reals" in str(found)


def test_the_images_of_the_user_are_compared_too():
    captured = capture(binary(), SPEC)
    own = np.random.default_rng(1).integers(0, 256, (9, *SPEC.shape), np.uint8)
    assert faithful.check(captured, lower(captured.graph), own).images == 21 + faithful.OWN_IMAGES


@pytest.mark.parametrize(
    ("kind", "change", "first"),
    [
        (BinaryConv2dMaxPoolThreshold, lambda op: replace(op, conv=flipped(op.conv)), "'3'"),
        (BinaryConv2dMaxPoolThreshold, lambda op: replace(op, threshold=nudged(op.threshold, 100)), "'3'"),
        (BinaryConv2dMaxPoolThreshold, lambda op: replace(op, conv=replace(op.conv, pad_value=1)), "'3'"),
        (BinaryConv2dThreshold, lambda op: replace(op, conv=replace(op.conv, pad_value=0)), "'6'"),
        (BinaryConv2dThreshold, lambda op: replace(op, threshold=nudged(op.threshold, -1)), "'6'"),
        (BinaryDenseThreshold, lambda op: replace(op, dense=flipped(op.dense)), "'10'"),
        (BinaryDense, flipped, "'12'"),
        (Affine, lambda op: Affine(op.scale, op.offset + np.float32(1e-3)), "'12'"),
    ],
)
def test_a_wrong_number_is_found_where_it_stands(kind, change, first):
    captured = capture(binary(), SPEC)
    lowered = lower(captured.graph)
    with pytest.raises(CheckFailed, match=f"another network, first at {first}"):
        faithful.check(captured, changed(lowered, named(lowered, kind), change))


def test_a_wrong_float_layer_is_found_where_it_stands():
    captured = capture(mixed(), SPEC)
    lowered = lower(captured.graph)
    wrong = changed(lowered, named(lowered, Conv), lambda op: replace(op, weight=op.weight * np.float32(1.001)))
    with pytest.raises(CheckFailed, match="first at '0'"):
        faithful.check(captured, wrong)
    wrong = changed(lowered, named(lowered, Relu), lambda op: Affine(np.ones(5, np.float32), np.zeros(5, np.float32)))
    with pytest.raises(CheckFailed, match="first at '2'"):
        faithful.check(captured, wrong)


def test_a_bit_next_to_its_threshold_is_counted_where_torch_rounds_and_refused_farther_off():
    module = mixed()
    x = faithful._seen(np.stack(list(probes(SPEC, 1).values())), SPEC)
    with torch.no_grad():
        module[3].bias[0] -= module[:4](x)[0, 0, 2, 2] - 1e-6
        assert 0 < module[:4](x)[0, 0, 2, 2] < 2e-6
    captured = capture(module, SPEC)
    lowered = lower(captured.graph)
    front = next(node for node in lowered.nodes if node.name == "4").inputs[0]

    def moved(by):
        return changed(lowered, front, lambda op: Affine(op.scale, op.offset - np.float32(by)))

    assert faithful.check(captured, lowered).bits_near == 0
    assert faithful.check(captured, moved(4e-6)).bits_near > 0
    with pytest.raises(CheckFailed, match="first at '3'"):
        faithful.check(captured, moved(1e-2))


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = BinaryLinear(144, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x.flatten(1)) * self.calls


class Alone(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = BinaryLinear(144, 3)

    def forward(self, x):
        features = self.layer(x.flatten(1))
        return features * 2 if x.shape[0] == 1 else features


class Remembering(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = BinaryLinear(144, 3)
        self.last = None

    def forward(self, x):
        last, self.last = self.last, x
        return self.layer((x if last is None or last.shape != x.shape else x + last).flatten(1))


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, (8, 6))

    def forward(self, x):
        return self.layer(x).squeeze().softmax(1) if x.shape[0] == 1 else self.layer(x).flatten(1)


@pytest.mark.parametrize(
    ("module", "message", "line"),
    [
        (Counting(), "answers a batch of 1 otherwise than its trace", Counting.forward.__code__.co_firstlineno),
        (
            Remembering(),
            "answers a batch of 1 otherwise than its trace",
            Remembering.forward.__code__.co_firstlineno + 2,
        ),
        (Alone(), "answers a batch of 1 otherwise than its trace", Alone.forward.__code__.co_firstlineno + 2),
        (Squeezed(), "fails on a batch of 1: IndexError", Squeezed.forward.__code__.co_firstlineno + 1),
    ],
)
def test_an_answer_that_depends_on_more_than_the_image_is_refused_with_the_line(module, message, line):
    with pytest.raises(CheckFailed, match=rf"test_faithful\.py:{line}\) {message}"):
        convert(module, SPEC)


def test_a_module_that_diverged_is_refused_with_the_image():
    module = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    with torch.no_grad():
        module[1].weight.fill_(3e38)
    with pytest.raises(CheckFailed, match="NaN or infinity on noise 0"):
        convert(module, SPEC)


def test_convert_tells_how_they_compare():
    told = []
    convert(binary(), SPEC, announce=told.append)
    assert len(told) == 1
    assert told[0].startswith("the graph answers as the module on 21 images: 0 of 5,175 bits differ, logits by ")
