"""bnnt: binary neural networks from PyTorch to ARM and x86 CPUs.

What stands here is for users; nothing of it is imported before it is named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnn_toolchain.api import bench_model as bench_model
    from bnn_toolchain.api import export_model as export_model
    from bnn_toolchain.api import inspect_model as inspect_model
    from bnn_toolchain.api import train_recipe as train_recipe
    from bnn_toolchain.api import validate_model as validate_model
    from bnn_toolchain.converters import convert as convert
    from bnn_toolchain.errors import BnntError as BnntError
    from bnn_toolchain.input_spec import InputSpec as InputSpec
    from bnn_toolchain.layers import BinaryConv2d as BinaryConv2d
    from bnn_toolchain.layers import BinaryLinear as BinaryLinear
    from bnn_toolchain.layers import Sign as Sign
    from bnn_toolchain.model_path import open_model as open_model
    from bnn_toolchain.prediction import predict_images as predict_images
    from bnn_toolchain.training.fit import fit as fit
    from bnn_toolchain.training.load import load_run as load_run

_HOMES = {
    "bench_model": "api",
    "export_model": "api",
    "inspect_model": "api",
    "predict_images": "prediction",
    "train_recipe": "api",
    "validate_model": "api",
    "convert": "converters",
    "BnntError": "errors",
    "InputSpec": "input_spec",
    "BinaryConv2d": "layers",
    "BinaryLinear": "layers",
    "Sign": "layers",
    "open_model": "model_path",
    "fit": "training.fit",
    "load_run": "training.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
