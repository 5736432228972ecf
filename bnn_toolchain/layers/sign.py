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
    POLYNOMIAL: g(x) = max(0, 2 - 2|x|), the derivative of a piecewise quadratic that is close to the sign (Liu et al.
        2018, Bi-Real Net, section 3.3).
    SWISH: g(x) = b (2 - b x tanh(b x / 2)) / (1 + cosh(b x)) with b = 5, the derivative of
        2 s(bx) (1 + bx (1 - s(bx))) - 1, s the logistic function (Darabi et al. 2018, BNN+, section 3.1). It is
        negative beyond |x| = 0.48.
    """

    PLAIN = "plain"
    CLIPPED = "clipped"
    POLYNOMIAL = "polynomial"
    SWISH = "swish"


SWISH_SLOPE = 5.0


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

    Under torch.export it is the operator ``bnnt::sign``. Training uses a Python autograd function, which costs less per
    call and which a compiler can fuse.
    """
    if torch.compiler.is_exporting():
        exported: Tensor = exported_sign(x)
        return exported
    return _SurrogateSign.apply(x, gradient)  # type: ignore[no-untyped-call,no-any-return]


def stochastic_sign(x: Tensor, gradient: Gradient = Gradient.CLIPPED) -> Tensor:
    """+1 with probability clip((x + 1) / 2, 0, 1), else -1, with the gradient of :func:`sign`.

    The hard sigmoid of BinaryConnect (Courbariaux, Bengio, David 2015, section 2.2); random numbers come from torch's
    global generator.
    """
    return _StochasticSign.apply(x, gradient)  # type: ignore[no-untyped-call,no-any-return]


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
    # 0 and 1, then -0.5 and 0.5, then -1 and +1, in one buffer; torch.where is slow in eager mode.
    return torch.ge(x, 0, out=torch.empty_like(x, requires_grad=False)).sub_(0.5).mul_(2.0)


class _SurrogateSign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, gradient: Gradient) -> Tensor:
        context.gradient = gradient
        if gradient is not Gradient.PLAIN:
            context.save_for_backward(x)
        return _signs(x)

    @staticmethod
    def backward(context: Any, upstream: Tensor) -> tuple[Tensor, None]:
        if context.gradient is Gradient.PLAIN:
            return upstream, None
        return surrogate(upstream, context.saved_tensors[0], context.gradient), None


class _StochasticSign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, gradient: Gradient) -> Tensor:
        context.gradient = gradient
        context.save_for_backward(x)
        return torch.lt(torch.rand_like(x), (x + 1.0) / 2.0, out=torch.empty_like(x)).sub_(0.5).mul_(2.0)

    @staticmethod
    def backward(context: Any, upstream: Tensor) -> tuple[Tensor, None]:
        return surrogate(upstream, context.saved_tensors[0], context.gradient), None


def surrogate(upstream: Tensor, x: Tensor, gradient: Gradient) -> Tensor:
    """``upstream`` times g(x), by the formulas of :class:`Gradient`."""
    match gradient:
        case Gradient.PLAIN:
            return upstream
        case Gradient.CLIPPED:
            # its bounds are open and ours are closed: the next number beyond 1 makes them one, in a tenth of the time
            # of upstream * (|x| <= 1)
            beyond = 1.0 + torch.finfo(x.dtype).eps
            clipped: Tensor = torch.ops.aten.hardtanh_backward(upstream, x, -beyond, beyond)
            return clipped
        case Gradient.POLYNOMIAL:
            return upstream * (2.0 - 2.0 * x.abs()).clamp_(min=0.0)
        case Gradient.SWISH:
            steep = SWISH_SLOPE * x
            return upstream * (SWISH_SLOPE * (2.0 - steep * torch.tanh(steep / 2)) / (1.0 + torch.cosh(steep)))
