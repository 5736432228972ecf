"""A data set that a small network learns in a second, and recipes for it."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from bnn_toolchain.data.splits import Labelled, split
from bnn_toolchain.input_spec import InputSpec


def patterns(count, seed=0, classes=4, side=8):
    """Noisy copies of one random pattern a class."""
    rng = np.random.default_rng(1234)
    masters = rng.integers(0, 256, (classes, side, side, 1))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    noisy = masters[labels] + rng.normal(0, 60, (count, side, side, 1))
    return Labelled(noisy.clip(0, 255).astype(np.uint8), labels.astype(np.int64))


def splits(count=400):
    spec = InputSpec(8, 8, 1, (1 / 128,), (128.0,), ("a", "b", "c", "d"))
    return split(patterns(count), patterns(100, seed=1), spec, "patterns")


def write_recipe(folder, **fields):
    """A recipe file on the patterns as parquet; ``fields`` replace its own."""
    for name, part in (("train", patterns(400)), ("test", patterns(100, seed=1))):
        cells = []
        for image in part.images:
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0]).save(buffer, "PNG")
            cells.append(buffer.getvalue())
        pq.write_table(pa.table({"image": cells, "label": part.labels}), folder / f"{name}.parquet")
    recipe = {
        "data": {"source": "parquet", "train": str(folder / "train.parquet"), "test": str(folder / "test.parquet")},
        "model": {"name": "mlp", "hidden": 32, "depth": 2},
        "augment": {"shift": 1},
        "batch_size": 40,
        "epochs": 4,
        "optimizer": {"lr": 0.01},
        **fields,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path
