"""The binarizer: one forward formula, several stand-ins for its gradient.

Forward, everywhere: sign(x) = +1 if x >= 0, else -1; so sign(0) = sign(-0.0) = +1 and sign(NaN) = -1. Its derivative is
zero almost everywhere, so training replaces it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn


class Gradient(StrEnum):
    """What stands in for the derivative of the sign, as a function g of its input x.

    PLAIN: g(x) = 1. The straight-through estimator (Bengio, Leonard, Courville 2013, section 4).
    CLIPPED: g(x) = 1 if |x| <= 1, else 0 (Hubara et al. 2016, Binarized Neural Networks, equation 4).
    """

    PLAIN = "plain"
    CLIPPED = "clipped"


@torch.library.custom_op("bnnt::sign", mutates_args=())
def exported_sign(x: Tensor) -> Tensor:
    """The sign as a named operator: what torch.export records and capture recognises. Floating x of any shape."""
    return _signs(x)


@exported_sign.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def _plain_backward(_context: Any, gradient: Tensor) -> Tensor:
    return gradient


exported_sign.register_autograd(_plain_backward)


def sign(x: Tensor, gradient: Gradient = Gradient.CLIPPED) -> Tensor:
    """The sign of ``x``, floating, of any shape; the result has its shape and dtype.

    Under torch.export it is the operator ``bnnt::sign``; a Python autograd function costs a third of that one's time
    per call and can be fused by a compiler, so training uses that.
    """
    result: Tensor
    if torch.compiler.is_exporting():
        result = exported_sign(x)
    else:
        function = _PlainSign if gradient is Gradient.PLAIN else _ClippedSign
        result = function.apply(x)  # type: ignore[no-untyped-call]
    return result


class Sign(nn.Module):
    """A binary activation, [N, …] to [N, …] of the same dtype.

    ``gradient`` may be changed at any time; see :func:`bnn_toolchain.layers.set_gradients`.
    """

    def __init__(self, gradient: Gradient = Gradient.CLIPPED) -> None:
        super().__init__()
        self.gradient = Gradient(gradient)

    def forward(self, x: Tensor) -> Tensor:
        return sign(x, self.gradient)

    def extra_repr(self) -> str:
        return f"gradient={self.gradient}"


def _signs(x: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
    # 0 and 1, then -0.5 and 0.5, then -1 and +1, in one buffer: ten times as fast as torch.where in eager mode.
    return torch.ge(x, 0, out=torch.empty_like(x, requires_grad=False)).sub_(0.5).mul_(2.0)


class _PlainSign(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        return _signs(x)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return gradient


class _ClippedSign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return _signs(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        x: Tensor = context.saved_tensors[0]
        # its bounds are open and ours are closed: the next number beyond 1 makes them one, in a tenth of the time of
        # gradient * (|x| <= 1)
        beyond = 1.0 + torch.finfo(x.dtype).eps
        result: Tensor = torch.ops.aten.hardtanh_backward(gradient, x, -beyond, beyond)
        return result
