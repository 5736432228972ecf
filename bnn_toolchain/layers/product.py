"""Products with binary weights: in float32, or under autocast in the fastest arithmetic that is exact for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def linear(x: Tensor, signs: Tensor) -> Tensor:
    """x · signs^T for x [N, I] and signs [O, I], of +1 and -1, to [N, O].

    Under autocast on a CPU, if x holds whole numbers of int8 (checked here: the outputs of a sign do), the product is
    that of integers, exact, in float32; its gradients are products of bf16, rounded to it. All else is torch's own.
    """
    eager = not torch.compiler.is_compiling()  # a compiled step cannot look at values
    if eager and x.device.type == "cpu" and x.ndim == 2 and torch.is_autocast_enabled("cpu"):
        integers = x.detach().to(torch.int8)
        if torch.equal(integers.to(x.dtype), x):
            product: Tensor = _IntegerLinear.apply(x, signs, integers)  # type: ignore[no-untyped-call]
            return product
    return functional.linear(x, signs)


class _IntegerLinear(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, signs: Tensor, integers: Tensor) -> Tensor:
        weight = signs.to(torch.int8)
        context.save_for_backward(integers, weight)
        context.dtypes = x.dtype, signs.dtype
        # the sums are below 2^24 in magnitude, so float32 holds them
        return torch._int_mm(integers, weight.t()).to(torch.float32)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        integers, weight = context.saved_tensors
        of_x, of_signs = context.dtypes
        rounded = gradient.to(torch.bfloat16)
        for_x = (rounded @ weight.to(torch.bfloat16)).to(of_x) if context.needs_input_grad[0] else None
        for_signs = (rounded.t() @ integers.to(torch.bfloat16)).to(of_signs) if context.needs_input_grad[1] else None
        return for_x, for_signs, None
