import pytest
import torch

from bnn_toolchain.layers import BinaryLinear, Gradient, sign
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
        y = linear(x, w, Gradient.CLIPPED)
    assert y.dtype == torch.float32
    assert torch.equal(y.double(), x.double() @ w.double().T)


def test_inputs_that_are_no_integers_keep_torch_s_own_product():
    torch.manual_seed(0)
    x, w = torch.randn(4, 300), signs(5, 300)
    with autocast():
        assert torch.equal(linear(x, w, Gradient.CLIPPED), torch.nn.functional.linear(x, w))
    assert torch.equal(linear(x, w, Gradient.CLIPPED), x @ w.T)
    with autocast():
        assert torch.isnan(linear(torch.full((2, 300), float("nan")), w, Gradient.CLIPPED)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_the_products_of_rounded_factors(dtype):
    torch.manual_seed(0)
    x, w = signs(6, 40).to(dtype).requires_grad_(), signs(9, 40).requires_grad_()
    upstream = torch.randn(6, 9)
    with autocast():
        linear(x, w, Gradient.PLAIN).backward(upstream)
    rounded = upstream.bfloat16().double()
    for found, exact in ((x.grad, rounded @ w.double()), (w.grad, rounded.T @ x.double())):
        assert found.dtype == (dtype if found is x.grad else torch.float32)
        error = (found.double() - exact).abs() / exact.abs()
        assert error.max() <= 2**-8  # bf16 keeps eight bits, and the sum is rounded once
        assert torch.equal(found, found.bfloat16().to(found.dtype))


EDGES = torch.tensor([0.0, -0.0, 1.0, -1.0, 1 + 2**-23, -1 - 2**-23, 0.3, -0.7, 5.0, float("nan")])


@pytest.mark.parametrize("gradient", list(Gradient))
def test_the_sign_inside_the_integer_product_is_the_sign(gradient):
    """The same bits and the same gradients as a sign of its own before the product."""
    torch.manual_seed(0)
    inside, before = (EDGES.repeat(4, 3).requires_grad_() for _ in range(2))
    x, upstream = signs(6, 30), torch.randn(6, 4)
    with autocast():
        outputs = linear(x, inside, gradient), linear(x, sign(before, gradient), Gradient.PLAIN)
    assert torch.equal(*outputs)
    for output in outputs:
        output.backward(upstream)
    assert torch.equal(inside.grad.nan_to_num(9), before.grad.nan_to_num(9))
    beyond = inside.grad[:, 8]  # the latents that are 5
    assert bool(beyond.any()) == (gradient is not Gradient.CLIPPED and gradient is not Gradient.POLYNOMIAL)


def test_drawn_signs_and_their_gradient_pass_through_the_product():
    torch.manual_seed(0)
    layer = BinaryLinear(400, 50)
    layer.stochastic = True
    with torch.no_grad():
        layer.weight[:, :100] = 3.0
    x = signs(8, 400)
    torch.manual_seed(1)
    drawn = layer.signs()
    torch.manual_seed(1)
    with autocast():
        y = layer(x)
    assert torch.equal(y.double(), x.double() @ drawn.detach().double().T)
    assert not torch.equal(drawn, sign(layer.weight))
    y.sum().backward()
    assert not layer.weight.grad[:, :100].any() and layer.weight.grad[:, 100:].any()


def test_a_layer_is_the_same_inside_autocast():
    torch.manual_seed(0)
    layer, x = BinaryLinear(500, 70), signs(8, 500)
    with autocast():
        inside = layer(x)
    assert torch.equal(inside, layer(x))
