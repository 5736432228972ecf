import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bnn_toolchain.data.augment import Augment, augmented

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (50, 6, 5, 3), dtype=np.uint8))
INDEX = torch.from_numpy(np.random.default_rng(1).permutation(50))


def batch(seed, **fields):
    return augmented(IMAGES, INDEX, Augment(**fields), torch.Generator().manual_seed(seed))


def shifts(image, most, mode, **options):
    """All images that a move by up to ``most`` pixels can give, as bytes."""
    framed = np.pad(image, ((most, most), (most, most), (0, 0)), mode, **options)
    height, width = image.shape[:2]
    return {framed[y : y + height, x : x + width].tobytes() for y in range(2 * most + 1) for x in range(2 * most + 1)}


def test_nothing_asked_is_nothing_done():
    assert torch.equal(batch(0), IMAGES[INDEX])


@pytest.mark.parametrize(
    ("fields", "mode"), [({"shift": 2}, "constant"), ({"crop": 2}, "reflect")], ids=["shift", "crop"]
)
def test_moves_are_those_of_a_padded_image(fields, mode):
    seen = 0
    for seed in range(8):
        for image, original in zip(batch(seed, **fields).numpy(), IMAGES[INDEX].numpy(), strict=True):
            possible = shifts(original, 2, mode)
            assert image.tobytes() in possible
            seen += image.tobytes() != original.tobytes()
    assert 350 < seen < 400  # 24 of 25 moves change the image


def test_flips_mirror_half_of_the_images():
    flipped = 0
    for seed in range(8):
        for image, original in zip(batch(seed, flip=True).numpy(), IMAGES[INDEX].numpy(), strict=True):
            assert image.tobytes() in (original.tobytes(), original[:, ::-1].tobytes())
            flipped += image.tobytes() != original.tobytes()
    assert 160 < flipped < 240


def test_a_seed_decides_and_the_images_stay():
    before = IMAGES.clone()
    fields = {"shift": 1, "crop": 1, "flip": True}
    assert torch.equal(batch(3, **fields), batch(3, **fields))
    assert not torch.equal(batch(3, **fields), batch(4, **fields))
    assert torch.equal(before, IMAGES)
    assert batch(3, **fields).dtype == torch.uint8


def test_a_crop_beyond_the_image_still_mirrors():
    assert batch(0, crop=20).shape == (50, 6, 5, 3)


def test_negative_moves_are_refused():
    with pytest.raises(ValidationError, match="shift"):
        Augment(shift=-1)


def interpolated(image, y, x):
    """The value at a real position, from the four pixels around it; 0 outside."""
    height, width = image.shape[:2]
    value = np.zeros(image.shape[2])
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                value += image[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


@pytest.mark.parametrize(("rotate", "zoom"), [(180, 0.0), (30, 0.3), (0, 0.9)])
def test_turns_and_zooms_are_those_of_pixels_looked_up_one_by_one(rotate, zoom):
    """On images that are not square, where the two axes have units of their own."""
    angles, sides = (torch.rand(2, 50, generator=torch.Generator().manual_seed(5)) * 2 - 1).numpy()
    turned = batch(5, rotate=rotate, zoom=zoom).numpy()
    assert not np.array_equal(turned, IMAGES[INDEX].numpy())
    for image, original, a, s in zip(turned, IMAGES[INDEX].numpy(), angles, sides, strict=True):
        angle, side = a * math.radians(rotate), 1 + s * zoom
        for y, x in np.ndindex(6, 5):
            u, v = (x - 2) / side, (y - 2.5) / side
            source_y, source_x = v * math.cos(angle) + u * math.sin(angle), u * math.cos(angle) - v * math.sin(angle)
            wanted = interpolated(original, source_y + 2.5, source_x + 2)
            np.testing.assert_allclose(image[y, x], wanted, atol=0.51)  # rounded to whole numbers


def test_a_turn_goes_before_the_shift():
    """So what the shift brings in is 0, and the images are those of the turn alone, moved."""
    turned = batch(2, rotate=20, zoom=0.1).numpy()
    both = batch(2, rotate=20, zoom=0.1, shift=2).numpy()
    assert not np.array_equal(turned, both)
    for image, original in zip(both, turned, strict=True):
        assert image.tobytes() in shifts(original, 2, "constant")


@pytest.mark.parametrize(("field", "value"), [("rotate", 181), ("rotate", -1), ("zoom", 1), ("zoom", -0.1)])
def test_turns_and_zooms_out_of_range_are_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        Augment(**{field: value})
