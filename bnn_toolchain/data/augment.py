"""Random turns, zooms, shifts, crops and flips of whole uint8 batches."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from torch import Tensor
from torch.nn import functional


class Augment(BaseModel):
    """What happens to each training image, each time anew.

    ``rotate``: turned about its middle by up to so many degrees either way; ``zoom``: made larger or smaller by up to
    this factor, 0.1 for sides of 0.9 to 1.1 times; both interpolate, and what comes in is 0. ``shift``: moved by up to
    so many pixels, down or up and sideways; what comes in is 0. ``crop``: moved likewise, but what comes in is the
    image mirrored at its edge. ``flip``: mirrored left to right, every second time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0
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
    if augment.rotate or augment.zoom:
        images = _turned(images[index], augment, generator)
        index = torch.arange(len(index), device=images.device)
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


def _turned(images: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """uint8 [N, H, W, C], each turned and zoomed by numbers of its own."""
    count, height, width, _ = images.shape
    angle, side = (torch.rand(2, count, generator=generator) * 2 - 1).unbind()
    angle, side = angle * math.radians(augment.rotate), 1 + side * augment.zoom
    cosine, sine, none = angle.cos() / side, angle.sin() / side, torch.zeros(count)
    # where a pixel comes from; affine_grid measures each axis in halves of the image's side along it
    rows = (cosine, -sine * height / width, none, sine * width / height, cosine, none)
    origin = torch.stack(rows, 1).reshape(count, 2, 3).to(images.device)
    pixels = images.permute(0, 3, 1, 2).to(torch.float32)
    grid = functional.affine_grid(origin, list(pixels.shape), align_corners=False)
    turned = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return turned.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


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
