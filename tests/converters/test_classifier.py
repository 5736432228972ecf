"""A model yields one logit for each class, or is refused with both numbers and what to change."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph.classifier import check_classifier
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec
from tests.networks import Conv, Dense

from .graphs import fused


def spec(*classes):
    return InputSpec(4, 4, 1, (1 / 128,), (128.0,), classes)


def dense(outputs):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), Dense(16, outputs), nn.BatchNorm1d(outputs))


def test_as_many_outputs_as_classes():
    for count in (2, 3, 20):
        graph = convert(dense(count), spec(*map(str, range(count))))
        assert graph.values[graph.output].shape == (count,)
        check_classifier(graph)


@pytest.mark.parametrize(
    ("module", "classes", "words"),
    [
        (dense(1), "ab", r"'2' yields one number .* 2 classes \(a, b\): give the last layer 2 outputs, one for each"),
        (
            dense(3),
            "ab",
            r"'2' yields 3 numbers .* 2 classes \(a, b\): give .* 2 outputs, or the InputSpec 3 class names",
        ),
        (dense(2), "abcdef", r"'2' yields 2 numbers .* 6 classes \(a, b, c, d, …\): give the last layer 6 outputs"),
        (dense(1), "a", "the input names 1 classes, and '2' yields 1 numbers .* no regression"),
        (dense(1), "", "the input names 0 classes, and '2' yields 1 numbers"),
        (Conv(1, 2, 3, 1, 0, 1, 1, 0), "ab", r"yields 2x2x2 numbers .* bnnt exports classifiers; .* 2 outputs"),
    ],
)
def test_another_number_of_outputs(module, classes, words):
    with pytest.raises(Unsupported, match=words):
        convert(module.eval(), spec(*classes))


def test_a_graph_of_a_file():
    graph = fused(np.random.default_rng(0))
    check_classifier(graph)
    with pytest.raises(Unsupported, match=r"'logits' yields 4 numbers .* 3 classes \(cat, dog, Käse\)"):
        check_classifier(type(graph)(replace(graph.spec, classes=graph.spec.classes[:3]), graph.nodes))
