"""`bnnt setup`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json


class Part(StrEnum):
    """What can be set up."""

    LCE = "lce"


def setup(
    part: Annotated[Part, typer.Argument(help="lce: Larq Compute Engine's own interpreter.")], json: Json = False
) -> None:
    """Install what lives in an environment of its own, once, in the user's cache (or in BNNT_CACHE).

    lce is Larq Compute Engine's interpreter (0.16.0, 72 MB with its numpy, no TensorFlow): it runs .tflite files.

    Example: bnnt setup lce
    """
    from bnn_toolchain.runtime.engines.lce import environment as lce_environment

    folder = lce_environment.create(announce=note)
    if json:
        print_json({"part": part.value, "folder": str(folder)})
    else:
        print(f"{part.value} is ready: {folder}")
