"""The geometry of a convolution as nn.Conv2d takes it: one number or two, and paddings that have a name."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import SupportsIndex, TypeAlias

from bnn_toolchain.errors import UsageError

Side: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
"""One number for both sides, or (height, width)."""

Pair: TypeAlias = tuple[int, int]
"""(height, width)."""


def pair(name: str, value: Side, least: int) -> Pair:
    """``value`` for both sides; ``name`` is that of the argument.

    Raises:
        UsageError: it is neither a whole number nor two, or one is below ``least``.
    """
    sides = (value, value) if isinstance(value, SupportsIndex) else tuple(value) if isinstance(value, Sequence) else ()
    numbers = [index(side) for side in sides if isinstance(side, SupportsIndex)]
    if len(sides) != 2 or len(numbers) != 2 or min(numbers) < least:
        raise UsageError(f"{name} {value!r}: give a whole number, or two as (height, width), from {least} up")
    return numbers[0], numbers[1]


def pads_of(padding: Pair | str, kernel_size: Pair, stride: Pair, dilation: Pair) -> tuple[int, int, int, int]:
    """Pixels of padding at the left, the right, the top and the bottom, as torch.nn.functional.pad takes them.

    Raises:
        UsageError: a name other than "same" and "valid", or "same" with a stride.
    """
    match padding:
        case (height, width):
            return width, width, height, height
        case "valid":
            return 0, 0, 0, 0
        case "same" if stride == (1, 1):
            down, across = (reach * (taps - 1) for reach, taps in zip(dilation, kernel_size, strict=True))
            return across // 2, across - across // 2, down // 2, down - down // 2
        case "same":
            raise UsageError(f"padding 'same' with stride {stride}: it needs stride 1, so give the padding in pixels")
        case _:
            raise UsageError(f"padding {padding!r}: give a number of pixels, two as (height, width), 'same' or 'valid'")
