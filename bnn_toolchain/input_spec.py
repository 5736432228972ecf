"""What a model expects of an image: it is saved with the model and travels with it."""

from __future__ import annotations

import reprlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.errors import UsageError

Fit: TypeAlias = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class InputSpec:
    """Size, layout, normalisation and class names of a model's input.

    The network sees ``(pixel - offset) * scale`` in float32, per channel, for pixels 0 to 255. ``scale`` and
    ``offset`` hold one entry a channel. Where all channels share them, ``offset`` is an integer and ``scale``
    is positive, the first binary-weight layer is integer-exact from the raw pixels; a scale that is a power
    of two makes torch's own float evaluation exact as well.

    ``fit`` says how an image of another size comes to this one: "crop" cuts its middle out in the right proportions,
    "pad" frames it with black, "stretch" changes its proportions; it is resized by bilinear interpolation with
    antialiasing (Pillow's). Without ``fit`` other sizes are refused.
    """

    height: int
    width: int
    channels: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    classes: tuple[str, ...]
    fit: Fit | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.channels) < 1:
            raise UsageError(f"input size {self.height}x{self.width}x{self.channels}: every side must be at least 1")
        if len(self.scale) != self.channels or len(self.offset) != self.channels:
            raise UsageError(
                f"input normalisation has {len(self.scale)} scales and {len(self.offset)} offsets for "
                f"{self.channels} channels: give one of each per channel"
            )
        if not all(np.isfinite(s) and s > 0 for s in self.scale) or not all(np.isfinite(o) for o in self.offset):
            raise UsageError(
                f"input scale {reprlib.repr(self.scale)} and offset {reprlib.repr(self.offset)}: "
                "scales must be positive and all finite"
            )
        if self.fit not in (None, *get_args(Fit)):
            raise UsageError(f"input fit {self.fit!r}: it must be crop, pad or stretch")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, uint8 (H, W, C)."""
        return (self.height, self.width, self.channels)

    @property
    def is_integer(self) -> bool:
        """Whether one positive scale and one integer offset serve all channels (0 <= offset <= 255)."""
        offset = self.offset[0]
        return len(set(self.scale)) == 1 and len(set(self.offset)) == 1 and offset == int(offset) and 0 <= offset <= 255

    def normalised(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network sees of uint8 ``images`` [N, H, W, C]: float32, the same layout."""
        offset, scale = np.array(self.offset, np.float32), np.array(self.scale, np.float32)
        return (images.astype(np.float32) - offset) * scale

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON types; one without a fit has no such key."""
        return {key: value for key, value in asdict(self).items() if key != "fit" or value is not None}

    @staticmethod
    def from_json(raw: dict[str, Any]) -> InputSpec:
        """The inverse of :meth:`to_json`.

        Raises:
            UsageError: a field is missing or has the wrong type.
        """
        try:
            return InputSpec(
                height=int(raw["height"]),
                width=int(raw["width"]),
                channels=int(raw["channels"]),
                scale=tuple(float(s) for s in raw["scale"]),
                offset=tuple(float(o) for o in raw["offset"]),
                classes=tuple(str(c) for c in raw["classes"]),
                fit=raw.get("fit"),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UsageError(f"not an input specification: {error!r} in {reprlib.repr(raw)}") from error


def check_images(images: NDArray[np.uint8], spec: InputSpec) -> None:
    """Refuse anything but uint8 [N, H, W, C] of the specification's size.

    Raises:
        UsageError: wrong dtype, rank or size; the message has both shapes.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != spec.shape:
        raise UsageError(
            f"images are {images.dtype} {list(images.shape)}, the model takes uint8 "
            f"[N, {spec.height}, {spec.width}, {spec.channels}] (NHWC)"
        )
