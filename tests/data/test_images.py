import numpy as np
import pytest
from PIL import Image

from bnn_toolchain.data.images import load_image
from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.errors import FileFormatError, UsageError

GREY = InputSpec(4, 6, 1, (1.0,), (0.0,), ("a", "b"))
COLOUR = InputSpec(4, 6, 3, (1.0,) * 3, (0.0,) * 3, ("a", "b"))


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
    saved(path, np.zeros((4, 6), np.uint16))
    with pytest.raises(UsageError, match="mode I;16"):
        load_image(path, GREY)


def test_corrupt_files_are_named(tmp_path):
    path = saved(tmp_path / "image.png", np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8))
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:20], whole[:45], whole[:-35]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"image\.png"):
            load_image(path, GREY)
