from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bnn_toolchain.data.images import ImageReader, read_file
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.input_spec import InputSpec

GREY = InputSpec(4, 6, 1, (1.0,), (0.0,), ("a", "b"))
COLOUR = InputSpec(4, 6, 3, (1.0,) * 3, (0.0,) * 3, ("a", "b"))


def load_images(paths, spec):
    """The images as the model takes them, and what is remarked."""
    reader = ImageReader(spec.channels, (spec.height, spec.width), spec.fit)
    return np.stack([reader.read(read_file(path), str(path)) for path in paths]), reader.remarks.lines()


def load_image(path, spec):
    (image,), _ = load_images([path], spec)
    return image


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_pixels_come_unchanged(tmp_path):
    rng = np.random.default_rng(0)
    for spec in (GREY, COLOUR):
        pixels = rng.integers(0, 256, spec.shape, dtype=np.uint8)
        path = saved(tmp_path / "image.png", pixels.squeeze())
        assert np.array_equal(load_image(path, spec), pixels)


def test_a_palette_is_colour(tmp_path):
    path = tmp_path / "image.gif"
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6)).convert("P")
    image.putpalette([value for index in range(256) for value in (index, 0, 255 - index)])
    image.save(path)
    assert load_image(path, COLOUR)[0, 5].tolist() == [5, 0, 250]


def test_what_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "image.png"
    with pytest.raises(UsageError, match="cannot read"):
        load_image(path, GREY)
    saved(path, np.zeros((6, 4), np.uint8))
    with pytest.raises(UsageError, match=r"image\.png has 6x4 pixels .* takes 4x6: resize it first"):
        load_image(path, GREY)
    saved(path, np.zeros((4, 6), np.uint8))
    with pytest.raises(UsageError, match=r"image\.png is a grey image, the model takes colour"):
        load_image(path, COLOUR)
    saved(path, np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(UsageError, match=r"image\.png is a colour image, the model takes grey"):
        load_image(path, GREY)
    saved(path, np.zeros((4, 6, 2), np.uint8))
    with pytest.raises(UsageError, match="mode LA: save it as grey or RGB without transparency"):
        load_image(path, GREY)


def test_corrupt_files_are_named(tmp_path):
    path = saved(tmp_path / "image.png", np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8))
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:20], whole[:45], whole[:-35]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"image\.png"):
            load_image(path, GREY)


def photo(path, size, orientation=None, seed=0):
    """A smooth picture of (height, width) as its EXIF orientation shows it; the pixels of the file lie otherwise."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(small).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
        stored = image.transpose(STORED[orientation])
        stored.save(path, exif=exif)
    else:
        image.save(path)
    return np.asarray(image)


STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes the turn that an EXIF orientation asks for."""


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    path = tmp_path / f"image.{suffix}"
    upright = photo(tmp_path / "plain.png", (30, 20))
    photo(path, (30, 20), orientation)
    with Image.open(path) as stored:
        assert stored.size == ((30, 20) if orientation >= 5 else (20, 30))
    spec = InputSpec(30, 20, 3, (1.0,) * 3, (0.0,) * 3, ("a", "b"))
    if suffix == "png":
        assert np.array_equal(load_image(path, spec), upright)
    else:
        assert np.abs(load_image(path, spec).astype(int) - upright).mean() < 10


def resized(image, box, size):
    """Triangle filter of the cut-out, widened where it becomes smaller: what Pillow computes, from its definition."""
    left, top, right, bottom = box
    for axis, (start, stop, wanted) in enumerate(((top, bottom, size[0]), (left, right, size[1]))):
        step = (stop - start) / wanted
        support = max(step, 1.0)
        centres = start + (np.arange(wanted) + 0.5) * step
        distance = np.abs(np.arange(image.shape[axis]) + 0.5 - centres[:, None]) / support
        outside = np.abs(np.arange(image.shape[axis]) + 0.5 - (start + stop) / 2) > (stop - start) / 2
        weights = np.where(outside, 0, (1 - distance).clip(0))
        weights /= weights.sum(1, keepdims=True)
        image = np.moveaxis(np.tensordot(weights, image, (1, axis)), 0, axis)
    return image


@pytest.mark.parametrize("size", [(48, 32), (32, 48), (5, 5), (12, 10)])
def test_fits_are_what_they_say(tmp_path, size):
    path = tmp_path / "image.png"
    original = photo(path, size).astype(float)
    height, width = size
    found = {
        fit: load_image(path, InputSpec(12, 10, 3, (1.0,) * 3, (0.0,) * 3, ("a", "b"), fit)).astype(int)
        for fit in ("crop", "pad", "stretch")
    }
    assert np.abs(found["stretch"] - resized(original, (0, 0, width, height), (12, 10))).max() <= 1.5
    if height * 10 > width * 12:  # taller than the input
        cut = width * 12 / 10
        box = (0, (height - cut) / 2, width, (height + cut) / 2)
        inner = (12, round(12 * width / height))
    else:
        cut = height * 10 / 12
        box = ((width - cut) / 2, 0, (width + cut) / 2, height)
        inner = (round(10 * height / width), 10)
    if all(side == round(side) for side in box):
        assert np.abs(found["crop"] - resized(original, box, (12, 10))).max() <= 1.5
    top, left = round((12 - inner[0]) / 2), round((10 - inner[1]) / 2)
    framed = np.zeros((12, 10, 3))
    framed[top : top + inner[0], left : left + inner[1]] = resized(original, (0, 0, width, height), inner)
    assert np.abs(found["pad"] - framed).max() <= 1.5


def test_what_has_the_size_stays_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, COLOUR.shape, np.uint8)
    path = saved(tmp_path / "image.png", pixels)
    for fit in ("crop", "pad", "stretch"):
        assert np.array_equal(load_image(path, replace(COLOUR, fit=fit)), pixels)


def test_sixteen_bits_become_eight_and_are_said(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (4, 6), np.uint16)
    saved(tmp_path / "a.png", deep)
    (tmp_path / "b.pgm").write_bytes(b"P5\n6 4\n65535\n" + deep.astype(">u2").tobytes())
    saved(tmp_path / "c.png", (deep >> 8).astype(np.uint8))
    images, remarks = load_images([tmp_path / name for name in ("a.png", "b.pgm", "c.png")], GREY)
    assert np.array_equal(images, np.stack([(deep >> 8).astype(np.uint8)[..., None]] * 3))
    assert remarks == (f"images of 16 bits a channel, scaled down to 8: 2 (first {tmp_path}/a.png)",)
    colour = np.random.default_rng(1).integers(0, 65536, (4, 6, 3), np.uint16)
    (tmp_path / "d.ppm").write_bytes(b"P6\n6 4\n65535\n" + colour.astype(">u2").tobytes())
    (image,), remarks = load_images([tmp_path / "d.ppm"], COLOUR)
    assert np.abs(image.astype(int) - colour / 257).max() <= 1 and len(remarks) == 1


def test_the_first_frame_of_an_animation_is_read_and_said(tmp_path):
    frames = [Image.fromarray(np.full((4, 6, 3), value, np.uint8)) for value in (10, 100, 200)]
    for name in ("a.gif", "b.png", "c.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=50)
    frames[0].save(tmp_path / "d.gif")
    images, remarks = load_images([tmp_path / name for name in ("a.gif", "b.png", "c.webp", "d.gif")], COLOUR)
    assert np.abs(images.astype(int) - 10).max() <= 2
    assert remarks == (f"animated images, of which the first frame is read: 3 (first {tmp_path}/a.gif)",)


def test_a_file_pays_for_its_pixels(tmp_path):
    """A hundred million pixels in a hundred kilobytes."""
    path = tmp_path / "bomb.png"
    Image.new("L", (10_000, 8_900)).save(path)
    with pytest.raises(FileFormatError, match=r"bomb\.png has \d+ bytes for 10000x8900 pixels: it is corrupt"):
        load_image(path, GREY)
    Image.new("L", (4_000, 4_000)).save(path)  # a blank page
    assert not load_image(path, replace(GREY, fit="pad")).any()
