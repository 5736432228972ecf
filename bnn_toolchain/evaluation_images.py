"""The images that an exported model is measured and compared on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.packages import named_packages
from bnn_toolchain.progress import Announce
from bnn_toolchain.runtime.bundle.format import Bundle
from bnn_toolchain.runtime.export import TestImages

if TYPE_CHECKING:
    from bnn_toolchain.data.splits import Labelled
    from bnn_toolchain.training.config import Recipe

RANDOM_IMAGES = 100  # for models that come without images


def random_images(spec: InputSpec, count: int = RANDOM_IMAGES) -> NDArray[np.uint8]:
    """uint8 [count, H, W, C], always the same."""
    return np.random.default_rng(0).integers(0, 256, (count, *spec.shape), np.uint8)


def random_test_images(spec: InputSpec) -> TestImages:
    """Random images without labels."""
    return TestImages("random", random_images(spec), None)


def images_of_run(run: Path, recipe: Recipe, data: Path | None, announce: Announce) -> TestImages:
    """The images that ``run`` was tested on, read from ``data``, or if it is None from where they were.

    Raises:
        UsageError: they changed since, or cannot be read; the message says what to do without them.
        Unavailable: what they are read with is not installed, or cannot be reached.
    """
    from bnn_toolchain.training.recorded import read_test_images
    from bnn_toolchain.training.run_folder import RunFolder

    try:
        with named_packages():
            labelled, title = read_test_images(RunFolder(run), recipe, data, announce)
    except (UsageError, Unavailable) as error:
        remedy = "--data PATH names another place of the images, --no-data exports without accuracy"
        raise type(error)(f"{error}; {remedy}") from error
    return TestImages(title, labelled.images, labelled.labels)


def images_of_bundle(bundle: Bundle, announce: Announce) -> Labelled | None:
    """The images that the run of the bundle's model was tested on; None, which is announced, if they are not here."""
    instead = "comparing on the golden images, without labels"
    try:
        with named_packages():
            from bnn_toolchain.training.config import Recipe
            from bnn_toolchain.training.recorded import read_test_images
            from bnn_toolchain.training.run_folder import RunFolder

            source = bundle.manifest.source
            folder = None if source is None else RunFolder(bundle.path / source.run)
            recipe = folder.read_training() if folder is not None and folder.recipe.exists() else None
            if folder is None or not isinstance(recipe, Recipe):
                announce(f"the test images of {bundle.path} are not here: {instead}")
                return None
            return read_test_images(folder, recipe, None, announce)[0]
    except (UsageError, Unavailable) as error:
        announce(f"{error}: {instead}")
        return None
