"""How large a network may be, so that a small file cannot ask for more time or memory than there is.

No network for a CPU comes near: VGG-16 has 2²² elements and 2³¹ products in its largest layer.
"""

from __future__ import annotations

from math import prod

from bnn_toolchain.errors import Unsupported

NODES = 1 << 10  # of a file
ELEMENTS = 1 << 26  # of one value of one image, and of the padded input of a window
ALL_ELEMENTS = 1 << 28  # of all values of one image
PRODUCTS = 1 << 36  # of one layer for one image
POOLED = 1 << 16  # elements that a pooling window covers in one channel


def check_elements(name: str, shape: tuple[int, ...]) -> None:
    """Refuse a value of one image, or a padded input, that is too large.

    Raises:
        Unsupported: the message has the limit.
    """
    if prod(shape) > ELEMENTS:
        raise Unsupported(
            f"{name}: {prod(shape)} elements {list(shape)} for one image, the limit is {ELEMENTS}: "
            "give smaller images, or pads"
        )


def check_products(name: str, weights: int, shape: tuple[int, ...]) -> None:
    """Refuse a layer whose ``weights`` for one output element make too many products for an output of ``shape``.

    Raises:
        Unsupported: the message has the limit.
    """
    if weights * prod(shape) > PRODUCTS:
        raise Unsupported(
            f"{name}: {weights * prod(shape)} products for one image, the limit is {PRODUCTS}: "
            "give smaller images, or larger strides"
        )


def check_pooled(name: str, kernel: tuple[int, int]) -> None:
    """Refuse a pooling window that no image fills.

    Raises:
        Unsupported: the message has the limit.
    """
    if prod(kernel) > POOLED:
        raise Unsupported(f"{name}: a pooling window of {kernel[0]}x{kernel[1]}, the limit is {POOLED} elements")
