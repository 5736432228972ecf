"""Image files to classes: which files are meant, and what the native engine says of each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np

from bnn_toolchain.converters import onnx
from bnn_toolchain.data.images import ImageReader, read_file, suffixes
from bnn_toolchain.errors import UsageError
from bnn_toolchain.model_path import open_model
from bnn_toolchain.progress import Announce, Progress, silent, uncounted
from bnn_toolchain.runtime.devices.device import open_device
from bnn_toolchain.runtime.engines.engine import Session
from bnn_toolchain.runtime.engines.native import library as native
from bnn_toolchain.runtime.engines.native.program import ProgramSession
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import oldest_target

STDIN = "-"
MOST_BYTES = 1 << 28  # of an image on standard input
PART = 256  # images at a time


@dataclass(frozen=True)
class Score:
    """A class and its logit."""

    label: str
    logit: float


@dataclass(frozen=True)
class Prediction:
    """The best classes of one image, the best one first."""

    image: str
    best: tuple[Score, ...]
    margin: float  # by how much the first logit is above the second; 0 for a model of one class

    @property
    def label(self) -> str:
        """The class."""
        return self.best[0].label


def find_images(words: Sequence[str]) -> list[str]:
    """The image files that ``words`` mean: files, all images below folders, patterns such as "photos/*.png", and "-".

    Raises:
        UsageError: a word means no file, or "-" stands there twice.
    """
    found: list[str] = []
    for word in words:
        if word == STDIN or Path(word).is_file():
            found.append(word)
        elif Path(word).is_dir():
            below = sorted(path for path in Path(word).rglob("*") if path.suffix.lower() in suffixes())
            if not below:
                raise UsageError(f"there are no images in the folder {word}")
            found += map(str, below)
        elif matching := sorted(path for path in glob(word, recursive=True) if Path(path).is_file()):  # noqa: PTH207
            found += matching
        else:
            raise UsageError(
                f"cannot read {word}: there is no such file; give image files, folders, patterns or -, standard input"
            )
    if found.count(STDIN) > 1:
        raise UsageError("standard input, -, holds one image: it cannot be read twice")
    return found


def predict_images(
    model: Path,
    images: Sequence[str | Path],
    device: str = "local",
    top: int = 1,
    announce: Announce = silent,
    progress: Progress = uncounted,
    sending: Progress = uncounted,
    threads: int = 1,
) -> list[Prediction]:
    """Classify ``images``, as :func:`find_images` reads them, with the native engine on ``device``.

    Each prediction holds the ``top`` best classes. ``announce`` is told how images were fitted to the model's input,
    ``progress`` the number of images, ``sending`` how many bytes of a file went to the device.

    Raises:
        As :func:`find_images`, :func:`bnn_toolchain.model_path.open_model`,
        :meth:`bnn_toolchain.data.images.ImageReader.read` and
        :func:`bnn_toolchain.runtime.devices.device.open_device`.
    """
    graph = open_model(model)
    names = find_images([str(image) for image in images])
    spec = graph.spec
    reader = ImageReader(spec.channels, (spec.height, spec.width), spec.fit)
    predictions = []
    with open_device(device, announce, sending) as where:
        data = onnx.to_bytes(graph)
        session: Session = (
            native.load(data, threads=threads, images=min(len(names), native.TOGETHER))
            if where.here
            else ProgramSession(graph, data, build(oldest_target(where.arch)).program, where, threads)
        )
        for start in range(0, len(names), PART):
            part = names[start : start + PART]
            logits = session.run(np.stack([reader.read(_content(name), name) for name in part]))
            for name, row in zip(part, logits, strict=True):
                order = np.argsort(-row, kind="stable")
                best = tuple(Score(spec.classes[index], float(row[index])) for index in order[:top])
                margin = float(row[order[0]] - row[order[1]]) if len(order) > 1 else 0.0
                predictions.append(Prediction(name, best, margin))
            progress(len(predictions), len(names))
    for remark in reader.remarks.lines():
        announce(remark)
    return predictions


def _content(name: str) -> bytes:
    if name != STDIN:
        return read_file(Path(name))
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if not data or len(data) > MOST_BYTES:
        raise UsageError(f"standard input holds {'no image' if not data else f'more than {MOST_BYTES:,} bytes'}")
    return data
