"""Layers whose weights are binary. Training moves real *latent* weights; the forward pass sees their signs alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers.product import linear
from bnn_toolchain.layers.sign import Gradient, sign, stochastic_sign


class BinaryLayer(nn.Module):
    """What both layers share: latent weights and how they become binary.

    ``weight`` is the latent W, float32 [O, …], drawn from Glorot's uniform distribution. ``gradient`` stands in for the
    derivative of its sign. While ``stochastic`` is on, training (not evaluation) draws the signs at random, see
    :func:`bnn_toolchain.layers.sign.stochastic_sign`. Both may be changed at any time. With ``scaled`` the layer's
    output is multiplied, for each output channel, by the mean of |W| (Rastegari et al. 2016, XNOR-Net, equation 6).
    """

    def __init__(self, shape: tuple[int, ...], gradient: Gradient, scaled: bool) -> None:
        super().__init__()
        self.gradient = Gradient(gradient)
        self.stochastic = False
        self.scaled = scaled
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.xavier_uniform_(self.weight)

    def signs(self) -> Tensor:
        """The binary weights, float32, +1 and -1."""
        if self.stochastic and self.training:
            return stochastic_sign(self.weight, self.gradient)
        return sign(self.weight, self.gradient)

    def scale(self, y: Tensor) -> Tensor:
        """``y`` [N, O, …] times the scale of its channel, or as it is if the layer has none."""
        if not self.scaled:
            return y
        sides = range(1, self.weight.ndim)
        return y * self.weight.abs().mean(tuple(sides)).reshape(-1, *[1] * (y.ndim - 2))


class BinaryLinear(BinaryLayer):
    """y = x · sign(W)^T, x [N, I] to y [N, O], no bias: a batch norm belongs behind it. W is [O, I]."""

    def __init__(
        self, in_features: int, out_features: int, *, gradient: Gradient = Gradient.CLIPPED, scaled: bool = False
    ) -> None:
        super().__init__((out_features, in_features), gradient, scaled)
        self.in_features, self.out_features = in_features, out_features

    def forward(self, x: Tensor) -> Tensor:
        if self.stochastic and self.training:  # a sign leaves the drawn signs, and their gradient, as they are
            return self.scale(linear(x, self.signs(), Gradient.PLAIN))
        return self.scale(linear(x, self.weight, self.gradient))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, gradient={self.gradient}, scaled={self.scaled}"


class BinaryConv2d(BinaryLayer):
    """y = x * sign(W) (cross-correlation), x [N, C, H, W] to y [N, O, H', W'], no bias. W is [O, C / groups, k, k].

    Outside the image stands ``pad_value``: +1 by default, since 0 is not a binary value; 0 for inputs that are not
    binary, and on request.

    Raises:
        UsageError: ``pad_value`` is neither 0 nor 1, or the channels do not divide into the groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        pad_value: int = 1,
        gradient: Gradient = Gradient.CLIPPED,
        scaled: bool = False,
    ) -> None:
        if pad_value not in (0, 1):
            raise UsageError(f"pad_value {pad_value}: binary convolutions pad with 1 or 0")
        if in_channels % groups or out_channels % groups:
            raise UsageError(f"{in_channels} input and {out_channels} output channels do not divide by groups={groups}")
        super().__init__((out_channels, in_channels // groups, kernel_size, kernel_size), gradient, scaled)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.pad_value = pad_value

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding
        if padding and self.pad_value:
            x, padding = functional.pad(x, (padding,) * 4, value=1.0), 0
        return self.scale(functional.conv2d(x, self.signs(), None, self.stride, padding, self.dilation, self.groups))

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, pad_value={self.pad_value}, dilation={self.dilation}, groups={self.groups}, "
            f"gradient={self.gradient}, scaled={self.scaled}"
        )
