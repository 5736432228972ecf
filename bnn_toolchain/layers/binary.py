"""Layers whose weights are binary. Training moves real *latent* weights; the forward pass sees their signs alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers.geometry import Pair, Side, pads_of, pair
from bnn_toolchain.layers.product import linear
from bnn_toolchain.layers.sign import Gradient, sign, stochastic_sign


class BinaryLayer(nn.Module):
    """What both layers share: latent weights and how they become binary.

    ``weight`` is the latent W, floating [O, …], drawn from Glorot's uniform distribution. ``gradient`` stands in for
    the derivative of its sign. While ``stochastic`` is on, training (not evaluation) draws the signs at random, see
    :func:`bnn_toolchain.layers.sign.stochastic_sign`. Both may be changed at any time. With ``scaled`` the layer's
    output is multiplied, for each output channel, by the mean of |W| (Rastegari et al. 2016, XNOR-Net, equation 6).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        gradient: Gradient,
        scaled: bool,
    ) -> None:
        super().__init__()
        if bias:
            norm = "BatchNorm1d" if len(shape) == 2 else "BatchNorm2d"
            raise UsageError(
                "bias=True: a binary layer has none, as the batch norm that belongs behind it has one: leave bias out "
                f"and put nn.{norm}({shape[0]}) behind the layer"
            )
        if dtype is not None and not dtype.is_floating_point:
            raise UsageError(f"dtype {dtype}: latent weights are real numbers: give a floating dtype, such as float32")
        self.gradient = Gradient(gradient)
        self.stochastic = False
        self.scaled = scaled
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        nn.init.xavier_uniform_(self.weight)

    def signs(self) -> Tensor:
        """The binary weights, +1 and -1, of the latent weights' dtype."""
        if self.stochastic and self.training:
            return stochastic_sign(self.weight, self.gradient)
        return sign(self.weight, self.gradient)

    def scale(self, y: Tensor) -> Tensor:
        """``y``, [N, O, H, W] or [N, O], times the scale of its channel, or as it is if the layer has none."""
        if not self.scaled:
            return y
        sides = range(1, self.weight.ndim)
        return y * self.weight.abs().mean(tuple(sides)).reshape(-1, *[1] * (self.weight.ndim - 2))


class BinaryLinear(BinaryLayer):
    """y = x · sign(W)^T, x [N, I] to y [N, O], no bias: a batch norm belongs behind it. W is [O, I].

    The arguments are those of nn.Linear, then ours by name.

    Raises:
        UsageError: ``bias`` is true, or ``dtype`` is not floating.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        gradient: Gradient = Gradient.CLIPPED,
        scaled: bool = False,
    ) -> None:
        super().__init__((out_features, in_features), bias, device, dtype, gradient, scaled)
        self.in_features, self.out_features = in_features, out_features

    def forward(self, x: Tensor) -> Tensor:
        if self.stochastic and self.training:  # a sign leaves the drawn signs, and their gradient, as they are
            return self.scale(linear(x, self.signs(), Gradient.PLAIN))
        return self.scale(linear(x, self.weight, self.gradient))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, gradient={self.gradient}, scaled={self.scaled}"


class BinaryConv2d(BinaryLayer):
    """y = x * sign(W) (cross-correlation), x [N, C, H, W] to y [N, O, H', W'], no bias. W is [O, C / groups, kh, kw].

    The arguments are those of nn.Conv2d, then ours by name. ``kernel_size``, ``stride``, ``padding`` and ``dilation``
    are one number or two, (height, width); ``padding`` may be "valid", none, or "same", which keeps height and width
    and where it is odd puts the larger half below and right.

    Outside the image stands ``pad_value``: +1 unless given, since 0 is not a binary value; 0 for inputs that are not
    binary, and on request, which ``padding_mode="zeros"`` says as well.

    Raises:
        UsageError: an argument that nn.Conv2d would refuse; ``bias`` is true; ``dtype`` is not floating; ``pad_value``
            is neither 0 nor 1; ``padding_mode`` is another one, or contradicts ``pad_value``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Side,
        stride: Side = 1,
        padding: Side | str = 0,
        dilation: Side = 1,
        groups: int = 1,
        bias: bool = False,
        padding_mode: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        pad_value: int | None = None,
        gradient: Gradient = Gradient.CLIPPED,
        scaled: bool = False,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise UsageError(f"{in_channels} input and {out_channels} output channels do not divide by groups={groups}")
        kernel = pair("kernel_size", kernel_size, least=1)
        super().__init__((out_channels, in_channels // groups, *kernel), bias, device, dtype, gradient, scaled)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = kernel
        self.stride = pair("stride", stride, least=1)
        self.dilation = pair("dilation", dilation, least=1)
        self.padding: Pair | str = padding if isinstance(padding, str) else pair("padding", padding, least=0)
        self.pads = pads_of(self.padding, self.kernel_size, self.stride, self.dilation)
        self.pad_value = _pad_value(pad_value, padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        left, right, top, bottom = self.pads
        padding = (top, left)
        if any(self.pads) and (self.pad_value or (left, top) != (right, bottom)):
            x, padding = functional.pad(x, self.pads, value=float(self.pad_value)), (0, 0)
        return self.scale(functional.conv2d(x, self.signs(), None, self.stride, padding, self.dilation, self.groups))

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, pad_value={self.pad_value}, dilation={self.dilation}, groups={self.groups}, "
            f"gradient={self.gradient}, scaled={self.scaled}"
        )


def _pad_value(given: int | None, mode: str | None) -> int:
    if given not in (None, 0, 1):
        raise UsageError(f"pad_value {given}: binary convolutions pad with 1 or 0")
    if mode not in (None, "zeros"):
        raise UsageError(f"padding_mode {mode!r}: binary convolutions pad with zeros or, with pad_value=1, with ones")
    if mode == "zeros" and given == 1:
        raise UsageError("padding_mode 'zeros' and pad_value 1 contradict each other: leave one of them out")
    return int(given if given is not None else mode is None)
