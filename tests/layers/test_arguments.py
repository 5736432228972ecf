"""The binary layers take what nn.Conv2d and nn.Linear take, in the same order, and mean the same by it."""

import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear

FORMS = [
    ((4, 6, 3), {}),
    ((4, 6, (3, 2)), {}),
    ((4, 6, [2, 3], 2, 1), {}),
    ((4, 6, 3, (2, 1), (0, 2), (1, 2)), {}),
    ((4, 6, 3, 1, 1, 1, 2, False, "zeros"), {}),
    ((4, 6, 3), {"stride": (1, 3), "padding": (3, 1), "dilation": 2, "groups": 2, "bias": False}),
    ((4, 6, 3), {"padding": "valid", "stride": 2}),
    ((4, 6, 3), {"padding": "same"}),
    ((4, 6, (2, 4)), {"padding": "same"}),
    ((4, 6, (2, 3), 1, "same", (3, 2)), {}),
    ((np.int64(4), np.int64(6), np.int64(3), np.int64(1), (np.int64(1), 2)), {}),
    ((4, 6, 3), {"device": "cpu", "dtype": torch.float64, "padding_mode": "zeros"}),
]


def twins(arguments, keywords, **own):
    """Ours, and nn.Conv2d with the same weights, binary."""
    torch.manual_seed(0)
    ours = BinaryConv2d(*arguments, **keywords, **own)
    theirs = nn.Conv2d(*arguments, **({"bias": False} if len(arguments) < 8 else {}) | keywords)
    with torch.no_grad():
        theirs.weight.copy_(torch.where(ours.weight >= 0, 1.0, -1.0))
    x = torch.randn(3, 4, 9, 8).sign().to(theirs.weight.dtype)
    return ours, theirs, x


@pytest.mark.parametrize(("arguments", "keywords"), FORMS)
def test_a_convolution_padded_with_zeros_is_that_of_torch(arguments, keywords):
    ours, theirs, x = twins(arguments, keywords, pad_value=0)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours(x[0]), theirs(x[0]))  # one image without a batch, as nn.Conv2d takes it
    assert ours.weight.dtype == theirs.weight.dtype
    for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize(("arguments", "keywords"), [form for form in FORMS if "zeros" not in str(form)])
def test_padding_with_one_differs_at_the_border_alone(arguments, keywords):
    """x - 1 padded with 0 is x padded with 1, minus 1; so the sum of the weights is all that is missing."""
    ours, theirs, x = twins(arguments, keywords)
    assert ours.pad_value == 1
    assert torch.equal(ours(x), theirs(x - 1) + theirs.weight.sum((1, 2, 3)).reshape(-1, 1, 1))


def test_zeros_may_be_asked_for_by_the_name_that_torch_has_for_them():
    assert BinaryConv2d(1, 1, 3, padding_mode="zeros").pad_value == 0
    assert BinaryConv2d(1, 1, 3, padding_mode="zeros", pad_value=0).pad_value == 0


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("shape", [(37,), (4, 37), (2, 5, 37)])
def test_a_dense_layer_takes_any_number_of_dimensions(shape, scaled):
    torch.manual_seed(0)
    ours = BinaryLinear(37, 5, False, "cpu", torch.float64, scaled=scaled)
    theirs = nn.Linear(37, 5, False, "cpu", torch.float64)
    factor = ours.weight.abs().mean(1, keepdim=True) if scaled else 1.0
    with torch.no_grad():
        theirs.weight.copy_(torch.where(ours.weight >= 0, 1.0, -1.0) * factor)
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


def test_what_it_says_of_itself():
    layer = BinaryConv2d(3, 8, (3, 2), 1, "same", groups=1, scaled=True)
    assert repr(layer) == (
        "BinaryConv2d(3, 8, kernel_size=(3, 2), stride=(1, 1), padding=same, pad_value=1, dilation=(1, 1), groups=1, "
        "gradient=clipped, scaled=True)"
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"bias": True}, r"bias=True: .* the batch norm .* leave bias out and put nn\.BatchNorm2d\(6\) behind"),
        ({"padding_mode": "reflect"}, "padding_mode 'reflect': binary convolutions pad with zeros or, with pad_value"),
        ({"padding_mode": "zeros", "pad_value": 1}, "padding_mode 'zeros' and pad_value 1 contradict each other"),
        ({"pad_value": 2}, "pad_value 2: binary convolutions pad with 1 or 0"),
        ({"padding": "full"}, r"padding 'full': give a number of pixels, .*'same' or 'valid'"),
        ({"padding": "same", "stride": (1, 2)}, r"padding 'same' with stride \(1, 2\): it needs stride 1"),
        ({"padding": -1}, r"padding -1: give a whole number, or two as \(height, width\), from 0 up"),
        ({"stride": 0}, "stride 0: .* from 1 up"),
        ({"stride": (1, 2, 3)}, r"stride \(1, 2, 3\): give a whole number, or two"),
        ({"dilation": 1.5}, r"dilation 1\.5: give a whole number"),
        ({"kernel_size": "33"}, "kernel_size '33': give a whole number"),
        ({"groups": 0}, "do not divide by groups=0"),
        ({"groups": 4}, "4 input and 6 output channels do not divide by groups=4"),
        ({"dtype": torch.int8}, r"dtype torch\.int8: latent weights are real numbers"),
    ],
)
def test_a_convolution_refuses(keywords, message):
    with pytest.raises(UsageError, match=message):
        BinaryConv2d(4, 6, **{"kernel_size": 3} | keywords)


def test_a_dense_layer_refuses_a_bias():
    with pytest.raises(UsageError, match=r"bias=True: .* put nn\.BatchNorm1d\(6\) behind the layer"):
        BinaryLinear(4, 6, True)
