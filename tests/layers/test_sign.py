import math

import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.layers import Gradient, Sign, sign
from bnn_toolchain.layers.sign import exported_sign, stochastic_sign

ULP = float(np.finfo(np.float32).eps)
# ordinary points, both zeros, both ends of the clip and one step of float32 on either side of them
POINTS = [-3.0, -1 - ULP, -1.0, -1 + ULP / 2, -0.4, -1e-45, -0.0, 0.0, 1e-45, 0.4, 1 - ULP / 2, 1.0, 1 + ULP, 3.0]


@pytest.mark.parametrize("binarize", [sign, exported_sign, torch.compile(sign, backend="aot_eager")])
def test_the_forward_pass_is_exact_on_every_kind_of_number(binarize):
    x = torch.tensor([*POINTS, float("nan"), float("inf"), float("-inf")])
    expected = torch.tensor([1.0 if value >= 0 else -1.0 for value in x.tolist()])
    assert torch.equal(binarize(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_dtype_is_kept(dtype):
    x = torch.randn(3, 5, dtype=dtype)
    result = sign(x)
    assert result.dtype == dtype
    assert torch.equal(result, torch.where(x >= 0, 1.0, -1.0).to(dtype))


def test_the_input_is_not_changed():
    x = torch.randn(7)
    before = x.clone()
    sign(x)
    assert torch.equal(x, before)


def plain(_):
    return 1.0


def clipped(x):
    return 1.0 if abs(x) <= 1 else 0.0


def polynomial(x):
    """The derivative of -1 | 2x + x^2 | 2x - x^2 | 1, joined at -1, 0 and 1."""
    return 2 + 2 * x if -1 <= x < 0 else 2 - 2 * x if 0 <= x < 1 else 0.0


def swish(x):
    """The derivative of 2 s(5x) (1 + 5x (1 - s(5x))) - 1 by its parts: s' = 5 s (1 - s)."""
    s = 1 / (1 + math.exp(-5 * x))
    slope = 5 * s * (1 - s)
    return 2 * slope * (1 + 5 * x * (1 - s)) + 2 * s * (5 * (1 - s) - 5 * x * slope)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("formula", [plain, clipped])
def test_the_gradient_is_exactly_its_formula(formula, dtype):
    x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
    upstream = torch.arange(1.0, len(POINTS) + 1).to(dtype)
    sign(x, Gradient(formula.__name__)).backward(upstream)
    expected = upstream * torch.tensor([formula(value) for value in x.tolist()]).to(dtype)
    assert torch.equal(x.grad, expected)


@pytest.mark.parametrize("formula", [polynomial, swish])
def test_the_gradient_is_its_formula_to_rounding(formula):
    x = torch.tensor([*POINTS, 30.0, -30.0], dtype=torch.float64, requires_grad=True)
    sign(x, Gradient(formula.__name__)).sum().backward()
    expected = [formula(value) for value in x.tolist()]
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    single = x.detach().float().requires_grad_()
    sign(single, Gradient(formula.__name__)).sum().backward()
    assert single.grad.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert torch.isfinite(single.grad).all()


def test_every_gradient_is_tested():
    assert {each.__name__ for each in (plain, clipped, polynomial, swish)} == {str(each) for each in Gradient}


def test_stochastic_signs_follow_the_hard_sigmoid():
    torch.manual_seed(0)
    points = torch.tensor([-2.0, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 1 + ULP, 7.0])
    x = points.expand(40_000, -1).clone().requires_grad_()
    y = stochastic_sign(x)
    assert set(y.unique().tolist()) == {-1.0, 1.0}
    share = (y > 0).double().mean(0)
    expected = ((points.double() + 1) / 2).clamp(0, 1)
    assert (share - expected).abs().max() < 4 * math.sqrt(0.25 / 40_000)  # four standard deviations
    assert share[0] == 0 and share[1] == 0 and (share[-3:] == 1).all()
    y.sum().backward()
    assert x.grad[0].tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]


def test_opcheck():
    for x in (torch.randn(4, 3, requires_grad=True), torch.randn(2, 3, 4, 5), torch.randn(3, dtype=torch.bfloat16)):
        torch.library.opcheck(torch.ops.bnnt.sign.default, (x,))


def test_export_keeps_the_name():
    module = nn.Sequential(Sign(), nn.Flatten()).eval()
    program = torch.export.export(module, (torch.randn(2, 3, 4),)).run_decompositions()
    assert "bnnt.sign.default" in [str(node.target) for node in program.graph.nodes]


def test_the_gradient_can_change_during_training():
    module = Sign(Gradient.CLIPPED)
    x = torch.tensor([2.0], requires_grad=True)
    module(x).sum().backward()
    module.gradient = Gradient.PLAIN
    assert x.grad.item() == 0
    module(x).sum().backward()
    assert x.grad.item() == 1
