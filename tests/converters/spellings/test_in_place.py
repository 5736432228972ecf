"""Operations in place, on views and aliases: whoever reads the value afterwards sees the change, as in torch."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from .network import Network, assert_equal, assert_refused, line_of


def flattened(_m, x):
    x.flatten(1).add_(1)
    return x


def viewed(_m, x):
    x.view(-1).mul_(-2)
    return x


def viewed_as(_m, x):
    x.view(x.shape[0], 8, -1).sub_(1)
    return x


def reshaped(_m, x):
    x.reshape(-1, 48).add_(1)  # a view, since x is contiguous
    return x


def permuted(_m, x):
    x.permute(0, 2, 3, 1).add_(1)
    return x


def of_functional_dropout(_m, x):
    functional.dropout(x, training=False).add_(1)
    return x


def of_dropout(m, x):
    m.dropout(x).mul_(-1)
    return x


def of_identity(m, x):
    m.identity(x).mul_(-1)
    return x


def of_detach(_m, x):
    x.detach().add_(1)
    return x


def of_data(_m, x):
    x.data.add_(1)
    return x


def of_contiguous(_m, x):
    x.contiguous().add_(1)
    return x


def of_to(_m, x):
    x.to(torch.float32).add_(1)
    return x


def of_expand_as(_m, x):
    x.expand_as(x).add_(1)
    return x


def of_slice(_m, x):
    x[:].add_(1)
    return x


def of_unsqueeze(_m, x):
    x.unsqueeze(0)[0].add_(1)
    return x


def another_name(_m, x):
    y = x
    y += 1
    return x


def base_after_its_view(_m, x):
    y = x.flatten(1)
    x.add_(1)
    return y.view(-1, 8, 8, 6)


def base_after_its_detached(_m, x):
    y = x.detach()
    x.mul_(-1)
    return y


def relu_on_a_residual(_m, x):
    y = functional.relu_(x)
    return x + y - 1  # x is rectified too


def relu_module_on_a_residual(m, x):
    y = m.relu(x)
    return x + y - 1


def ellipsis(_m, x):
    x[...] = x * 2 - 1
    return x


def copied(_m, x):
    x.copy_(x * 2 - 1)
    return x


def clamped(_m, x):
    x.clamp_(-1, 1)
    return x - 0.5


def read_before(_m, x):
    y = x + 0.5
    x.mul_(-1)
    return y + x * 0.5


def into_another(_m, x):
    y = torch.empty_like(x)
    torch.add(x, 1, out=y)
    return y


EQUAL = [
    flattened,
    viewed,
    viewed_as,
    reshaped,
    permuted,
    of_functional_dropout,
    of_dropout,
    of_identity,
    of_detach,
    of_data,
    of_contiguous,
    of_to,
    of_expand_as,
    of_slice,
    of_unsqueeze,
    another_name,
    base_after_its_view,
    base_after_its_detached,
    relu_on_a_residual,
    relu_module_on_a_residual,
    ellipsis,
    copied,
    clamped,
    read_before,
    into_another,
]


def network(spelling):
    return Network(spelling, dropout=nn.Dropout(), identity=nn.Identity(), relu=nn.ReLU(inplace=True))


@pytest.mark.parametrize("spelling", EQUAL, ids=lambda spelling: spelling.__name__)
def test_a_change_is_seen_under_every_name(spelling):
    assert_equal(network(spelling))


def of_clone(_m, x):
    x.clone().add_(1)
    return x


def of_product(_m, x):
    y = x * 1
    y.add_(1)
    return x


def of_a_channels_last_copy(_m, x):
    x.contiguous(memory_format=torch.channels_last).add_(1)  # a copy, since x is not channels last
    return x


@pytest.mark.parametrize("spelling", [of_clone, of_product, of_a_channels_last_copy], ids=lambda each: each.__name__)
def test_a_copy_is_another_value(spelling):
    assert_equal(Network(spelling), changes=False)


def test_images_that_the_module_itself_changes():
    def front(_m, x):
        x.add_(0.5)
        return x

    assert_equal(Network(front=front))


def one_channel(_m, x):
    x[:, 0] = 1  # here
    return x


def some_channels(_m, x):
    x[:, :4].add_(1)  # here
    return x


def one_pixel(_m, x):
    x[:, :, 0, 0] = 0  # here
    return x


def one_of_a_chunk(_m, x):
    first, _second = x.chunk(2, 1)
    first.mul_(-1)  # here
    return x


def masked(_m, x):
    x.masked_fill_(x > 0, 2)  # here
    return x


def by_mask(_m, x):
    x[x < 0] = 0  # here
    return x


def random_numbers(_m, x):
    return x + torch.empty_like(x).normal_()  # here


REFUSED = {
    one_channel: "",
    some_channels: "",
    one_pixel: "",
    one_of_a_chunk: "",
    masked: "",
    by_mask: "",
    random_numbers: "random numbers",
}


@pytest.mark.parametrize(("spelling", "message"), REFUSED.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_change_of_a_part_is_refused(spelling, message):
    assert_refused(Network(spelling), line_of(spelling), message)
