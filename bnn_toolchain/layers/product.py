"""Products with binary weights: in float32, or under autocast in the fastest arithmetic that is exact for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bnn_toolchain.layers.sign import Gradient, sign, surrogate


def linear(x: Tensor, latent: Tensor, gradient: Gradient) -> Tensor:
    """x · sign(W)^T for x [N, I] and latent weights W [O, I], to [N, O]; ``gradient`` is that of the sign.

    Under autocast on a CPU, if x holds whole numbers of int8 (checked here: the outputs of a sign do), the product is
    that of integers, exact, in float32; its gradients are products of bf16, rounded to it. All else is torch's own.
    """
    eager = not torch.compiler.is_compiling()  # a compiled step cannot look at values
    if eager and x.device.type == "cpu" and x.ndim == 2 and torch.is_autocast_enabled("cpu"):
        integers = x.detach().to(torch.int8)
        if torch.equal(integers.to(x.dtype), x):
            return _integer_linear(x, latent, gradient, integers)
    return functional.linear(x, sign(latent, gradient))


class _IntegerLinear(torch.autograd.Function):
    """The sign is in here, straight to int8: signs in float32 would be four times the memory, written thrice."""

    @staticmethod
    def forward(context: Any, x: Tensor, latent: Tensor, gradient: Gradient, integers: Tensor) -> Tensor:
        signs = torch.ge(latent, 0).view(torch.int8).mul_(2).sub_(1)
        context.save_for_backward(integers, signs, None if gradient is Gradient.PLAIN else latent)
        context.gradient, context.dtypes = gradient, (x.dtype, latent.dtype)
        # the sums are below 2^24 in magnitude, so float32 holds them
        return torch._int_mm(integers, signs.t()).to(torch.float32)

    @staticmethod
    def backward(context: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        integers, signs, latent = context.saved_tensors
        of_x, of_latent = context.dtypes
        rounded = upstream.to(torch.bfloat16)
        for_x = (rounded @ signs.to(torch.bfloat16)).to(of_x) if context.needs_input_grad[0] else None
        if not context.needs_input_grad[1]:
            return for_x, None, None, None
        for_signs = (rounded.t() @ integers.to(torch.bfloat16)).to(of_latent)
        return for_x, surrogate(for_signs, latent, context.gradient), None, None


_integer_linear: Callable[..., Tensor] = _IntegerLinear.apply
