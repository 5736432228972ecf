"""Random shifts, crops and flips of whole uint8 batches, as one gather."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt
from torch import Tensor


class Augment(BaseModel):
    """What happens to each training image, each time anew.

    ``shift``: moved by up to so many pixels, down or up and sideways; what comes in is 0. ``crop``: moved likewise, but
    what comes in is the image mirrored at its edge. ``flip``: mirrored left to right, every second time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shift: NonNegativeInt = 0
    crop: NonNegativeInt = 0
    flip: bool = False


def augmented(images: Tensor, index: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """The images of ``index``, augmented.

    Args:
        images: uint8 [M, H, W, C]; left as it is.
        index: int64 [N], rows of ``images``, on its device.
        generator: draws the same numbers for the same seed; on the CPU.

    Returns:
        uint8 [N, H, W, C] on the device of ``images``.
    """
    if augment == Augment():
        return images[index]
    height, width = images.shape[1:3]
    count = len(index)
    rows = torch.arange(height).expand(count, -1)
    columns = torch.arange(width).expand(count, -1)
    if augment.flip:
        mirrored = torch.randint(2, (count, 1), generator=generator, dtype=torch.bool)
        columns = torch.where(mirrored, columns.flip(1), columns)
    if augment.crop:
        rows = _mirror(rows + _moves(augment.crop, count, generator), height)
        columns = _mirror(columns + _moves(augment.crop, count, generator), width)
    inside = None
    if augment.shift:
        rows = rows + _moves(augment.shift, count, generator)
        columns = columns + _moves(augment.shift, count, generator)
        inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
        rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    device = images.device
    flat = (index[:, None, None] * height + rows.to(device)[:, :, None]) * width + columns.to(device)[:, None, :]
    result = images.flatten(0, 2)[flat]
    return result if inside is None else result * inside.to(device)[..., None]


def _moves(most: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(-most, most + 1, (count, 1), generator=generator)


def _mirror(position: Tensor, size: int) -> Tensor:
    """Positions outside 0 … size - 1, mirrored at the edge pixel as often as it takes."""
    if size == 1:
        return torch.zeros_like(position)
    position = position.abs() % (2 * size - 2)
    return torch.minimum(position, 2 * size - 2 - position)


def _within(position: Tensor, size: int) -> Tensor:
    return (position >= 0) & (position < size)
