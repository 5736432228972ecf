"""What a module computes from anything but the image and its own tensors is refused, or is a constant."""

import re
import time

import pytest
import torch
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.errors import BnntError
from bnn_toolchain.layers import BinaryConv2d

from .network import SPEC, Network, assert_equal, assert_refused, line_of

OFFSET = torch.linspace(-1, 1, 8).reshape(8, 1, 1)
torch.manual_seed(3)
CONVOLUTION = BinaryConv2d(8, 8, 3, padding=1).eval()


def closure(tensor):
    return lambda m, x: x + tensor


CONSTANTS = {
    "a tensor of the file": lambda m, x: x + OFFSET,
    "a tensor in a closure": closure(torch.linspace(1, -1, 8).reshape(8, 1, 1)),
    "a tensor made in forward": lambda m, x: x + torch.linspace(1, -1, 8).reshape(8, 1, 1),
    "a list of numbers": lambda m, x: x + torch.tensor([1.0, -1.0] * 4).reshape(8, 1, 1),
    "a plain attribute": lambda m, x: x + m.plain,
    "a parameter": lambda m, x: x + m.parameter,
    "a module of the file": lambda m, x: CONVOLUTION(m.sign(x)) / 8,
    "a sum over parameters": lambda m, x: x + m.classify.weight.sum(),
    "the number of channels": lambda m, x: x - x.shape[1] / 8,
    "a detached weight": lambda m, x: x * m.first_norm.weight.data[:, None, None],
}


@pytest.mark.parametrize("spelling", CONSTANTS.values(), ids=CONSTANTS)
def test_constants_from_anywhere(spelling):
    network = Network(spelling, parameter=nn.Parameter(OFFSET * 2))
    network.plain = OFFSET.clone() * -1
    assert_equal(network)


def counted(m, x):
    m.count = getattr(m, "count", 0) + 1
    return x + m.count  # here


def every_other_time(m, x):
    m.count = getattr(m, "count", 0) + 1
    if m.count % 2:
        return x
    return x + 1  # here


def counted_in_a_buffer(m, x):
    m.calls.add_(1)
    return x + m.calls  # here


def last_image(m, x):
    last = getattr(m, "last", None)
    m.last = x
    return x if last is None or last.shape != x.shape else x + last  # here


def random_of_python(_m, x):
    return x + time.perf_counter() % 1  # here


STATE = [counted, every_other_time, counted_in_a_buffer, last_image, random_of_python]


@pytest.mark.parametrize("spelling", STATE, ids=lambda each: each.__name__)
def test_state_that_changes_from_call_to_call(spelling):
    with pytest.raises(BnntError) as caught:
        convert(Network(spelling, calls=torch.zeros(())), SPEC)
    assert re.search(r"(test_state|network)\.py:\d+", str(caught.value)), caught.value


def test_state_that_changes_no_answer():
    def remembered(m, x):
        m.features = x
        return x + 1

    assert_equal(Network(remembered))


def counted_though_nobody_reads_it(m, x):
    m.calls.add_(1)  # here
    return x + 1


def test_a_buffer_that_evaluation_changes_is_refused():
    network = Network(counted_though_nobody_reads_it, calls=torch.zeros(()))
    assert_refused(network, line_of(counted_though_nobody_reads_it), "'calls'")


def test_hooks_are_part_of_a_module():
    network = Network()
    network.first_norm.register_forward_hook(lambda _module, _inputs, output: output + 1)
    assert_equal(network)
    network = Network()
    network.second.register_forward_pre_hook(lambda _module, inputs: (-inputs[0],))
    assert_equal(network)


def custom(m, x):
    return torch.ops.spellings.twice(x)  # here


@torch.library.custom_op("spellings::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@twice.register_fake
def _(x):
    return torch.empty_like(x)


def raises(_m, x):
    raise ValueError("not today")  # here


def of_numpy(_m, x):
    return torch.from_numpy(abs(x.numpy()))  # here


@pytest.mark.parametrize(
    ("spelling", "message"),
    [(custom, "twice"), (raises, "not today"), (of_numpy, "")],
    ids=["an operator of one's own", "an error", "numpy"],
)
def test_other_code(spelling, message):
    assert_refused(Network(spelling), line_of(spelling), message)
