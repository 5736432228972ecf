"""Operations that change nothing are left out, however they are called."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from .network import Network, assert_equal

NOTHING = {
    "expand_as": lambda m, x: x.expand_as(x),
    "view_as": lambda m, x: x.view_as(x),
    "reshape(x.shape)": lambda m, x: x.reshape(x.shape),
    "view(*x.shape)": lambda m, x: x.view(*x.shape),
    "x[:]": lambda m, x: x[:],
    "x[...]": lambda m, x: x[...],
    "x[:, :, :, :]": lambda m, x: x[:, :, :, :],
    "x[:, :8, 0:]": lambda m, x: x[:, :8, 0:],
    "permute": lambda m, x: x.permute(0, 1, 2, 3),
    "permute and back": lambda m, x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2),
    "transpose twice": lambda m, x: x.transpose(2, 3).transpose(2, 3),
    "movedim and back": lambda m, x: x.movedim(1, -1).movedim(-1, 1),
    "flip twice": lambda m, x: x.flip(3).flip(3),
    "roll and back": lambda m, x: x.roll(1, 2).roll(-1, 2),
    "flatten and unflatten": lambda m, x: x.flatten(1).unflatten(1, (8, 8, 6)),
    "flatten and view": lambda m, x: x.flatten(2).view(-1, 8, 8, 6),
    "x * 1": lambda m, x: x * 1,
    "x * 1.0": lambda m, x: x * 1.0,
    "x * True": lambda m, x: x * True,
    "x + 0": lambda m, x: x + 0,
    "x + False": lambda m, x: x + False,
    "x - 0.0": lambda m, x: x - 0.0,
    "x / 1": lambda m, x: x / 1,
    "+x": lambda m, x: +x,
    "x.neg().neg()": lambda m, x: x.neg().neg(),
    "x + zeros_like": lambda m, x: x + torch.zeros_like(x),
    "contiguous": lambda m, x: x.contiguous(),
    "contiguous, channels last": lambda m, x: x.contiguous(memory_format=torch.channels_last),
    "to, channels last": lambda m, x: x.to(memory_format=torch.channels_last),
    "clone": lambda m, x: x.clone(),
    "detach": lambda m, x: x.detach(),
    "data": lambda m, x: x.data,
    "requires_grad_": lambda m, x: x.requires_grad_(False),
    "Identity": lambda m, x: nn.Identity()(x),
    "an empty Sequential": lambda m, x: nn.Sequential()(x),
    "a pad of 0": lambda m, x: functional.pad(x, (0, 0, 0, 0)),
    "ZeroPad2d(0)": lambda m, x: nn.ZeroPad2d(0)(x),
    "a pool of 1": lambda m, x: functional.max_pool2d(x, 1),
    "an average of 1": lambda m, x: functional.avg_pool2d(x, 1),
    "an adaptive pool of the same size": lambda m, x: functional.adaptive_avg_pool2d(x, (8, 6)),
    "interpolate by 1": lambda m, x: functional.interpolate(x, scale_factor=1),
    "cat of one": lambda m, x: torch.cat([x], 1),
    "stack of one": lambda m, x: torch.stack([x], 1).squeeze(1),
    "unsqueeze and squeeze": lambda m, x: x.unsqueeze(0).squeeze(0),
    "unsqueeze and index": lambda m, x: x[:, None][:, 0],
    "a squeeze of nothing": lambda m, x: x.squeeze(1),
    "PixelShuffle(1)": lambda m, x: functional.pixel_shuffle(x, 1),
}


@pytest.mark.parametrize("spelling", NOTHING.values(), ids=NOTHING)
def test_nothing_changes(spelling):
    assert_equal(Network(spelling), changes=False)
