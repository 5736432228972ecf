"""Splits hold what can train, validate and test a classifier, and refuse everything else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bnn_toolchain.data.splits import Labelled, split
from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec

SPEC = InputSpec(2, 2, 1, (1.0,), (0.0,), ("a", "b", "c"))


def part(count):
    return Labelled(np.zeros((count, 2, 2, 1), np.uint8), np.arange(count) % 3)


LABELS = {
    "floats": (lambda labels: labels.astype(np.float32), r"are float32 \[9\] for 9 images: .* int64 \[9\]"),
    "of 32 bits": (lambda labels: labels.astype(np.int32), r"are int32 \[9\] for 9 images"),
    "one-hot": (lambda labels: np.eye(3, dtype=np.int64)[labels], r"are int64 \[9, 3\] for 9 images"),
    "too few": (lambda labels: labels[1:], r"are int64 \[8\] for 9 images"),
    "from 1": (lambda labels: labels + 1, "arrays: label 3 in the test split, but there are 3 classes"),
    "negative": (lambda labels: labels - 1, "label -1 in the test split"),
    "of torch": (torch.from_numpy, "the test split holds ndarray and Tensor: give arrays of NumPy"),
    "a list": (list, "the test split holds ndarray and list: give arrays of NumPy"),
}


@pytest.mark.parametrize(("change", "message"), LABELS.values(), ids=LABELS)
def test_labels(change, message):
    splits = split(part(20), part(9), SPEC, "arrays")
    with pytest.raises(UsageError, match=message):
        replace(splits, test=Labelled(splits.test.images, change(splits.test.labels)))


def test_images():
    splits = split(part(20), part(9), SPEC, "arrays")
    channels_first = Labelled(splits.test.images.transpose(0, 3, 1, 2), splits.test.labels)
    with pytest.raises(UsageError, match=r"images are uint8 \[9, 1, 2, 2\], the model takes uint8 \[N, 2, 2, 1\]"):
        replace(splits, test=channels_first)
    with pytest.raises(UsageError, match="the validation split is empty"):
        replace(splits, validation=part(0))
