import pytest
import torch

from bnn_toolchain.layers import BinaryLinear
from bnn_toolchain.layers.product import linear


def signs(*shape):
    return torch.where(torch.randn(*shape) >= 0, 1.0, -1.0)


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize(("n", "i", "o"), [(1, 1, 1), (2, 37, 5), (100, 2048, 2048), (7, 784, 10), (33, 65, 129)])
def test_the_integer_product_is_exact(n, i, o):
    torch.manual_seed(n)
    x, w = signs(n, i), signs(o, i)
    with autocast():
        y = linear(x, w)
    assert y.dtype == torch.float32
    assert torch.equal(y.double(), x.double() @ w.double().T)


def test_inputs_that_are_no_integers_keep_torch_s_own_product():
    torch.manual_seed(0)
    x, w = torch.randn(4, 300), signs(5, 300)
    with autocast():
        assert torch.equal(linear(x, w), torch.nn.functional.linear(x, w))
    assert torch.equal(linear(x, w), x @ w.T)
    with autocast():
        assert torch.isnan(linear(torch.full((2, 300), float("nan")), w)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_the_products_of_rounded_factors(dtype):
    torch.manual_seed(0)
    x, w = signs(6, 40).to(dtype).requires_grad_(), signs(9, 40).requires_grad_()
    upstream = torch.randn(6, 9)
    with autocast():
        linear(x, w).backward(upstream)
    rounded = upstream.bfloat16().double()
    for found, exact in ((x.grad, rounded @ w.double()), (w.grad, rounded.T @ x.double())):
        assert found.dtype == (dtype if found is x.grad else torch.float32)
        error = (found.double() - exact).abs() / exact.abs()
        assert error.max() <= 2**-8  # bf16 keeps eight bits, and the sum is rounded once
        assert torch.equal(found, found.bfloat16().to(found.dtype))


def test_a_layer_is_the_same_inside_autocast():
    torch.manual_seed(0)
    layer, x = BinaryLinear(500, 70), signs(8, 500)
    with autocast():
        inside = layer(x)
    assert torch.equal(inside, layer(x))
