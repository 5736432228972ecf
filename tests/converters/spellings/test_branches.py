"""What the code decides by the number of images or by their values has no place in a file; what it knows before has."""

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from bnn_toolchain.converters import convert
from bnn_toolchain.errors import BnntError

from .network import SPEC, Network, assert_equal, assert_refused, line_of, pooled


def one_image(_m, x):
    if x.shape[0] == 1:  # here
        return x + 1
    return x


def many_images(_m, x):
    if x.shape[0] > 4:  # here
        return x + 1
    return x


def length(_m, x):
    if len(x) == 2:  # here
        return x + 1
    return x


def even(_m, x):
    return x + 1 if x.size(0) % 2 == 0 else x  # here


def each_image(_m, x):
    return torch.stack([image + 1 for image in x])  # here


def shaped_by_len(_m, x):
    return x.reshape(len(x), 8, 8, 6)  # here


BATCH = [one_image, many_images, length, even, each_image, shaped_by_len]


@pytest.mark.parametrize("spelling", BATCH, ids=lambda each: each.__name__)
def test_a_branch_on_the_number_of_images(spelling):
    assert_refused(Network(spelling), line_of(spelling), error=BnntError)  # by tracing, or by the check at the end


def test_a_batch_of_one_that_fails():
    def squeezed_alone(_m, x):
        return x.squeeze(0) if x.shape[0] == 1 else x

    with pytest.raises(BnntError, match=r"network\.py:\d+\) fails on a batch of 1: ValueError: expected 4D input"):
        convert(Network(squeezed_alone), SPEC)


MIXED = {
    "the number as a factor": lambda m, x: x * x.shape[0],
    "the number as a divisor": lambda m, x: x / len(x),
    "the number as an addend": lambda m, x: x + x.size(0),
    "minus the mean of the batch": lambda m, x: x - x.mean(0),
    "minus the mean of the batch, kept": lambda m, x: x - x.mean(0, keepdim=True),
    "the neighbour": lambda m, x: x + x.roll(1, 0),
    "turned round": lambda m, x: x.flip(0),
    "the first image": lambda m, x: x + x[:1],
    "sorted": lambda m, x: x.sort(0)[0],
}


@pytest.mark.parametrize("spelling", MIXED.values(), ids=MIXED)
def test_images_of_a_batch_are_not_mixed(spelling):
    assert_refused(Network(spelling), line_of(spelling))


def bright(_m, x):
    if x.sum() > 0:  # here
        return x + 1
    return x


def any_above(_m, x):
    if (x > 2).any():  # here
        return x + 1
    return x


def item(_m, x):
    return x + x.max().item()  # here


def number(_m, x):
    return x + float(x.mean())  # here


def as_many_times(_m, x):
    for _ in range(int(x.max())):  # here
        x = x + 1
    return x


def selected(_m, x):
    return x[x > 0].sum() + x  # here


def through_numpy(_m, x):
    return torch.from_numpy(x.numpy() + 1)  # here


def through_a_list(_m, x):
    return torch.tensor(x.tolist())  # here


DATA = [bright, any_above, item, number, as_many_times, selected, through_numpy, through_a_list]


@pytest.mark.parametrize("spelling", DATA, ids=lambda each: each.__name__)
def test_a_branch_on_the_values_of_an_image(spelling):
    assert_refused(Network(spelling), line_of(spelling))


def channels(_m, x):
    if x.shape[1] == 8 and x.shape[2] > x.shape[3]:
        return x + 1
    return x


def mode(m, x):
    return x if m.training else x + 1


def contiguous(_m, x):
    x = x + 1
    return x.view(-1).view(x.shape) if x.is_contiguous() else x


def type_of(_m, x):
    assert x.dtype == torch.float32 and x.device.type == "cpu" and x.dim() == 4
    return x + 1


def no_grad(_m, x):
    with torch.no_grad():
        return x + 1


def grad(_m, x):
    with torch.enable_grad():
        return x + 1


def set_grad(m, x):
    with torch.set_grad_enabled(m.training):
        return x + 1


@torch.no_grad()
def decorated(_m, x):
    return x + 1


def autocast_off(_m, x):
    with torch.autocast("cpu", enabled=False):
        return x + 1


def named_region(_m, x):
    with torch.profiler.record_function("addition"):
        return x + 1


def printing(_m, x):
    print(x.shape)
    return x + 1


KNOWN = [channels, mode, contiguous, type_of, no_grad, grad, set_grad, decorated, autocast_off, named_region, printing]


@pytest.mark.parametrize("spelling", KNOWN, ids=lambda each: each.__name__)
def test_what_is_known_before_the_images_come(spelling):
    assert_equal(Network(spelling))


def autocast(m, x):
    with torch.autocast("cpu", torch.bfloat16):
        return functional.conv2d(x, m.map).float()  # here


def inference(_m, x):
    with torch.inference_mode():
        return x + 1  # here


def recomputed(_m, x):
    return checkpoint(lambda y: y + 1, x, use_reentrant=False)  # here


def cond(_m, x):
    return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))  # here


REGIONS = [autocast, cond]


@pytest.mark.parametrize("spelling", REGIONS, ids=lambda each: each.__name__)
def test_regions_that_change_what_is_computed(spelling):
    assert_refused(Network(spelling, map=torch.randn(8, 8, 1, 1)), line_of(spelling))


@pytest.mark.parametrize("spelling", [inference, recomputed], ids=lambda each: each.__name__)
def test_regions_that_change_nothing(spelling):
    assert_equal(Network(spelling))


def shape_in_a_head(m, x):
    assert x.shape[0] > 0
    return m.classify(x.reshape(x.size(0), 8, -1).mean(-1)).view(x.size(0), -1)


def test_the_number_of_images_may_shape_a_value():
    assert_equal(Network(head=shape_in_a_head), changes=False)
    assert_equal(Network(head=lambda m, x: pooled(m, x).reshape(x.shape[0], 5)), changes=False)
