"""Image files as uint8 arrays, refused where they are not what the model takes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.errors import FileFormatError, UsageError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP")
KINDS = {1: "grey", 3: "colour"}


def load_image(path: Path, spec: InputSpec) -> NDArray[np.uint8]:
    """The image file as the model takes it, uint8 [H, W, C].

    Raises:
        UsageError: there is no such file, or its size or colours are not the model's.
        FileFormatError: it is no image, or a corrupt one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return decode(data, str(path), spec.shape)


def decode_all(files: Sequence[tuple[str, bytes]], channels: int | None) -> NDArray[np.uint8]:
    """Images of one size, uint8 [N, H, W, C], from (name, content); without ``channels`` the first image decides.

    Raises:
        UsageError: sizes or colours differ; the message names the file.
        FileFormatError: a file is no image, or a corrupt one.
    """
    first_name, first = files[0]
    height, width, found = image_shape(first, first_name)
    shape = (height, width, channels or found)
    images = np.empty((len(files), *shape), np.uint8)
    for index, (name, data) in enumerate(files):
        images[index] = decode(data, name, shape)
    return images


def image_shape(data: bytes, name: str) -> tuple[int, int, int]:
    """Height, width and channels from an image's head.

    Raises:
        FileFormatError: not an image.
        UsageError: an image of neither one nor three channels of eight bits.
    """
    with _open(data, name) as image:
        return image.height, image.width, _channels(image, name)


def decode(data: bytes, name: str, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """An image of exactly ``shape`` (H, W, C) as uint8.

    Raises:
        FileFormatError: not an image, or a corrupt one.
        UsageError: another size, or grey for colour, or colour for grey.
    """
    height, width, channels = shape
    with _open(data, name) as image:
        found = _channels(image, name)
        if found != channels:
            wanted = KINDS.get(channels, f"{channels}-channel")
            raise UsageError(f"{name} is a {KINDS[found]} image, the model takes {wanted} images: convert it first")
        if (image.height, image.width) != (height, width):
            raise UsageError(
                f"{name} has {image.height}x{image.width} pixels (height x width), the model takes {height}x{width}: "
                f"resize it first"
            )
        try:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise FileFormatError(f"{name} is corrupt: {error}") from error
    return pixels.reshape(shape)


def _open(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise FileFormatError(f"{name} is not an image in one of the formats {', '.join(FORMATS)}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileFormatError(f"{name} is corrupt: {error}") from error


def _channels(image: Image.Image, name: str) -> int:
    match image.mode:
        case "L" | "1":
            return 1
        case "RGB":
            return 3
        case "P" if "transparency" not in image.info:
            return 3
        case mode:
            raise UsageError(f"{name} has pixels of mode {mode}: save it as 8-bit grey or RGB without transparency")
