"""Where windows lie: TensorFlow Lite knows SAME and VALID padding, the graph any."""

from __future__ import annotations

SAME, VALID = 0, 1
Pads = tuple[int, int, int, int]  # top, left, bottom, right


def same_pads(
    shape: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int] = (1, 1)
) -> Pads:
    """What SAME adds around an image (C, H, W): ceil(size / stride) windows, the odd pixel at the end."""
    before, after = [], []
    for size, k, stride, dilation in zip(shape[1:], kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before[0], before[1], after[0], after[1]


def padding_of(
    pads: Pads,
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int] = (1, 1),
) -> int | None:
    """The name that TensorFlow Lite has for ``pads`` around an image (C, H, W), None if it has none."""
    if not any(pads):
        return VALID
    return SAME if pads == same_pads(shape, kernel, strides, dilations) else None
