"""Layers whose weights are binary. Training moves real *latent* weights; the forward pass sees their signs alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers.product import linear
from bnn_toolchain.layers.sign import Gradient, sign


class BinaryLinear(nn.Module):
    """y = x · sign(W)^T, x [N, I] to y [N, O], no bias: a batch norm belongs behind it.

    ``weight`` is the latent W, float32 [O, I], drawn from Glorot's uniform distribution. ``gradient`` stands in for
    the derivative of the weights' sign and may be changed at any time.
    """

    def __init__(self, in_features: int, out_features: int, *, gradient: Gradient = Gradient.CLIPPED) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.gradient = Gradient(gradient)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, sign(self.weight, self.gradient))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, gradient={self.gradient}"


class BinaryConv2d(nn.Module):
    """y = x * sign(W) (cross-correlation), x [N, C, H, W] to y [N, O, H', W'], no bias.

    Outside the image stands ``pad_value``: +1 by default, since 0 is not a binary value; 0 for inputs that are not
    binary, and on request. ``weight`` is the latent W, float32 [O, C / groups, kernel, kernel], drawn from Glorot's
    uniform distribution. ``gradient`` as in :class:`BinaryLinear`.

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
    ) -> None:
        super().__init__()
        if pad_value not in (0, 1):
            raise UsageError(f"pad_value {pad_value}: binary convolutions pad with 1 or 0")
        if in_channels % groups or out_channels % groups:
            raise UsageError(f"{in_channels} input and {out_channels} output channels do not divide by groups={groups}")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.pad_value = pad_value
        self.gradient = Gradient(gradient)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, kernel_size, kernel_size))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding
        if padding and self.pad_value:
            x, padding = functional.pad(x, (padding,) * 4, value=1.0), 0
        weight = sign(self.weight, self.gradient)
        return functional.conv2d(x, weight, None, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, pad_value={self.pad_value}, dilation={self.dilation}, groups={self.groups}, "
            f"gradient={self.gradient}"
        )
