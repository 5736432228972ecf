"""A network of your own on a folder of your own images, from training to a bundle that every engine was checked on.

    python examples/own_module.py IMAGES OUT

IMAGES has one sub-folder a class, all images of one size. OUT gets the training run and the bundle. Afterwards,

    bnnt validate OUT/bundle --module examples/own_module.py:network

compares the bundle with this module itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor, nn

from bnn_toolchain.converters import convert
from bnn_toolchain.data.config import Folder
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.runtime.bundle.source import source_of
from bnn_toolchain.runtime.export import TestImages, export_bundle
from bnn_toolchain.runtime.targets.target import host_target
from bnn_toolchain.training.config import Optimizer, Schedule, Stage, Training
from bnn_toolchain.training.fit import fit


class TwoPaths(nn.Module):
    """Two convolutions of different reach look at the image; their sums meet in one binary activation."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.near = BinaryConv2d(channels, 32, 3, padding=1, pad_value=0)
        self.far = BinaryConv2d(channels, 32, 5, padding=2, pad_value=0)
        self.pool = nn.MaxPool2d(2)
        self.near_norm, self.far_norm, self.sign = nn.BatchNorm2d(32), nn.BatchNorm2d(32), Sign()
        self.conv = BinaryConv2d(32, 64, 3, padding=1)
        self.conv_norm, self.conv_sign = nn.BatchNorm2d(64), Sign()
        self.classify = BinaryLinear(64 * (height // 4) * (width // 4), classes)
        self.scale = nn.BatchNorm1d(classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sign(self.near_norm(self.pool(self.near(x))) + self.far_norm(self.pool(self.far(x))))
        x = self.conv_sign(self.conv_norm(self.pool(self.conv(x))))
        return self.scale(self.classify(x.flatten(1)))


def network(spec: InputSpec) -> TwoPaths:
    return TwoPaths(spec.channels, spec.height, spec.width, len(spec.classes))


def main(images: Path, out: Path) -> None:
    splits = load_splits(Folder(source="folder", path=images))
    model = network(splits.spec)

    stage = Stage(
        epochs=8, optimizer=Optimizer(lr=1e-2), schedule=Schedule(kind="exponential", lr_final=1e-4), latent_clip=True
    )
    summary = fit(model, splits, Training(batch_size=50, stages=(stage,)), out / "run")
    print(f"trained: test accuracy {summary.test_accuracy:.2%}")

    bundle = export_bundle(
        convert(model, splits.spec),
        out / "bundle",
        test=TestImages(images.name, splits.test.images, splits.test.labels),
        source=source_of(out / "run", out / "bundle"),
        targets=[host_target()],
        announce=print,
    )
    print(f"exported: test accuracy {bundle.manifest.accuracy.value:.2%}, {len(bundle.model):,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
