import numpy as np
import pytest
import torch
from torch import nn

from bnn_toolchain.layers import Gradient, Sign, sign
from bnn_toolchain.layers.sign import exported_sign

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    ("gradient", "formula"),
    [(Gradient.PLAIN, lambda _: 1.0), (Gradient.CLIPPED, lambda x: 1.0 if abs(x) <= 1 else 0.0)],
)
def test_the_gradient_is_its_formula(gradient, formula, dtype):
    x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
    upstream = torch.arange(1.0, len(POINTS) + 1).to(dtype)
    sign(x, gradient).backward(upstream)
    expected = upstream * torch.tensor([formula(value) for value in x.tolist()]).to(dtype)
    assert torch.equal(x.grad, expected)


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
