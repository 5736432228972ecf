"""Image files as uint8 arrays of one size, read in one way for training, for golden vectors and for `predict`."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from bnn_toolchain.data.remarks import Remarks
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.input_spec import Fit

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP")
KINDS = {1: "grey", 3: "colour"}
SIXTEEN_BITS = ("I;16", "I;16B", "I")
PLAIN = ("1", "L", "P", "RGB", *SIXTEEN_BITS)  # Pillow's names of pixels that are grey or colour and nothing else
MOST_PIXELS, MOST_PIXELS_A_BYTE = 1 << 25, 100
"""A file may be this many pixels, and as many more for each of its bytes: whoever sends it pays for what it costs."""
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error)
"""What Pillow raises for files that are corrupt, depending on where."""
FILTER = Image.Resampling.BILINEAR  # Pillow widens it where an image becomes smaller, so that nothing aliases


class ImageReader:
    """Decodes image files to one size and one number of channels; what is not given is that of the first image.

    Images are turned upright as their EXIF orientation says. ``remarks`` has what was not read as it stands.
    """

    def __init__(self, channels: int | None = None, size: tuple[int, int] | None = None, fit: Fit | None = None):
        self.channels, self.size, self.fit = channels, size, fit
        self.remarks = Remarks()

    def read(self, data: bytes, name: str) -> NDArray[np.uint8]:
        """One image as uint8 [H, W, C].

        Raises:
            FileFormatError: not an image, or a corrupt one.
            UsageError: another size without a fit, another number of channels, or pixels that are neither grey nor RGB.
        """
        image = self._upright(data, name)
        channels = 1 if image.mode == "L" else 3
        self.channels, self.size = self.channels or channels, self.size or (image.height, image.width)
        if channels != self.channels:
            wanted = KINDS.get(self.channels, f"{self.channels}-channel")
            raise UsageError(f"{name} is a {KINDS[channels]} image, the model takes {wanted} images: convert it first")
        height, width = self.size
        if (image.height, image.width) != self.size:
            match self.fit:
                case "crop":
                    image = ImageOps.fit(image, (width, height), FILTER)
                case "pad":
                    image = ImageOps.pad(image, (width, height), FILTER)
                case "stretch":
                    image = image.resize((width, height), FILTER)
                case None:
                    raise _other_size(image, name, self.size)
        return np.asarray(image).reshape(height, width, channels)

    def read_all(self, files: Iterable[tuple[str, bytes]], count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """All ``count`` images uint8 [N, H, W, C] and the SHA-256 of each file uint8 [N, 32], from (name, content).

        Raises:
            As :meth:`read`.
        """
        images, digests = np.empty((0,), np.uint8), np.empty((count, 32), np.uint8)
        for index, (name, data) in enumerate(files):
            digests[index] = np.frombuffer(hashlib.sha256(data).digest(), np.uint8)
            image = self.read(data, name)
            if index == 0:
                images = np.empty((count, *image.shape), np.uint8)
            images[index] = image
        return images, digests

    def _upright(self, data: bytes, name: str) -> Image.Image:
        """The image as grey or RGB pixels of eight bits, its top at the top."""
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.mode not in PLAIN or (image.mode == "P" and "transparency" in image.info):
                    raise UsageError(
                        f"{name} has pixels of mode {image.mode}: save it as grey or RGB without transparency"
                    )
                if image.width * image.height > MOST_PIXELS + MOST_PIXELS_A_BYTE * len(data):
                    raise FileFormatError(
                        f"{name} has {len(data)} bytes for {image.width}x{image.height} pixels: it is corrupt"
                    )
                if self.fit is None and self.size and sorted(image.size) != sorted(self.size):
                    raise _other_size(image, name, self.size)  # before it is decoded
                if getattr(image, "is_animated", False):
                    self.remarks.add("animated images, of which the first frame is read", name)
                if _has_16_bits(image):
                    self.remarks.add("images of 16 bits a channel, scaled down to 8", name)
                upright = ImageOps.exif_transpose(image)
                if upright.mode in SIXTEEN_BITS:
                    return Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
                return upright.convert("L" if upright.mode in ("1", "L") else "RGB")
        except UnidentifiedImageError as error:
            raise FileFormatError(f"{name} is not an image in one of the formats {', '.join(FORMATS)}") from error
        except (*DAMAGE, Image.DecompressionBombError) as error:
            raise FileFormatError(f"{name} is corrupt: {error}") from error


def _other_size(image: Image.Image, name: str, size: tuple[int, int]) -> UsageError:
    return UsageError(
        f"{name} has {image.height}x{image.width} pixels (height x width), the model takes {size[0]}x{size[1]}: "
        "resize it first, or train with data.size and data.fit"
    )


def suffixes() -> frozenset[str]:
    """The ends of names, such as ".png", that files of these formats have."""
    return frozenset(suffix for suffix, format in Image.registered_extensions().items() if format in FORMATS)


def read_file(path: Path) -> bytes:
    """The file's content.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _has_16_bits(image: ImageFile.ImageFile) -> bool:
    """Whether the file has, though Pillow may yield eight."""
    arguments = image.tile[0][3] if image.tile else ""
    largest = arguments[-1] if image.format == "PPM" and isinstance(arguments, tuple) else 255
    return image.mode in SIXTEEN_BITS or str(arguments).endswith(";16B") or int(largest) > 255
