"""Engines made ready to be compared: on a bundle, on a model file, or on a module of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bnn_toolchain.converters import onnx, require_lce
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.files import LARGE_FILE, read_bounded
from bnn_toolchain.runtime.bundle.format import (
    HEADER,
    LIBRARY,
    MODEL,
    PROGRAM,
    BuiltTarget,
    Bundle,
    sha256,
)
from bnn_toolchain.runtime.bundle.source import exported_run
from bnn_toolchain.runtime.checks.answers import Contender, describe_logits, differing
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.engines.engine import Session, open_session
from bnn_toolchain.runtime.engines.names import EngineName
from bnn_toolchain.runtime.engines.native.program import ProgramSession
from bnn_toolchain.runtime.engines.onnxruntime_device import OnnxRuntimeOnDevice
from bnn_toolchain.runtime.engines.reference import ReferenceSession
from bnn_toolchain.runtime.targets.cache import Build, build
from bnn_toolchain.runtime.targets.target import oldest_target

if TYPE_CHECKING:
    from torch import nn


def bundle_contender(
    bundle: Bundle, engine: EngineName, device: Device, run: Path | None = None, threads: int = 1
) -> Contender:
    """``engine`` on ``device``, with the bundle's model.

    ``run`` is the training run for the torch engine; if it is not given, the one that the manifest names.
    ``threads`` are the native engine's.

    Raises:
        Unavailable: the engine or what it needs is not here.
        UsageError: the device does not run this engine, the bundle's target for it is not what this installation
            builds, or the training run's checkpoint has changed since the export.
    """
    if device.here:
        if engine == "torch" and run is None:
            run = exported_run(bundle)
        return Contender(engine, str(device), open_session(engine, bundle.model, run, bundle.tflite, threads))
    return _there(engine, bundle.graph, bundle.path / MODEL, device, lambda: program_for(bundle, device), threads)


def check_golden_there(bundle: Bundle, contender: Contender) -> str:
    """Have a device's native engine answer the golden images, and say in one line that it did so to the last bit.

    Raises:
        CheckFailed: an answer differs; the message names the image, the layer, what was expected and found, and the
            kernel.
        BadAnswer, Unavailable: as :meth:`bnn_toolchain.runtime.engines.native.program.ProgramSession.run_hidden`.
    """
    vectors, names = bundle.golden, bundle.graph.hidden_bits()
    logits, hidden = contender.ask_hidden(bundle.graph, vectors.images)
    wrong = [differing(hidden[name], vectors.digests[:, layer]) for layer, name in enumerate(names)]
    wrong.append(differing(logits, vectors.logits))
    failing = np.flatnonzero(np.any(wrong, axis=0))
    if not len(failing):
        return f"{contender.device}: all {len(vectors.images)} golden images agree"
    image = int(failing[0])
    layer = next(index for index, images in enumerate(wrong) if images[image])
    if layer == len(names):
        where = describe_logits(bundle.graph, logits[image], vectors.logits[image])
    else:
        name = names[layer]
        where = contender.describe(bundle.graph, name, hidden[name][image], vectors.digests[image, layer])
    raise CheckFailed(
        f"{contender}: {len(failing)} of {len(vectors.images)} golden images differ, first image {image}: {where}"
    )


def file_contenders(
    model: Path, graph: Graph, engines: Sequence[EngineName], device: Device, threads: int = 1
) -> list[Contender]:
    """``engines`` on the file itself where they read its format, else on the same ``graph`` in theirs.

    Raises:
        UsageError: the device does not run an engine.
        Unavailable: an engine or what it needs is not here.
    """
    data, contenders = read_bounded(model, LARGE_FILE), []
    for engine in engines:
        if not device.here:
            written = model if model.suffix == ".onnx" else onnx.to_bytes(graph)
            program = partial(_own_program, device)
            contenders.append(_there(engine, graph, written, device, program, threads))
        else:
            contenders.append(Contender(engine, str(device), _session(engine, model, data, graph, threads)))
    return contenders


def module_contender(module: nn.Module, graph: Graph) -> Contender:
    """The user's own trained module, as the torch engine on this machine.

    Raises:
        UsageError: the module cannot run.
    """
    from bnn_toolchain.runtime.engines.torch import of_module as session_of

    return Contender("torch", "local", session_of(module, graph))


def program_for(bundle: Bundle, device: Device) -> Path:
    """bnnt-run for ``device``, as this installation builds it.

    Raises:
        UsageError: the bundle has a target for the device, and that is something else.
        Unavailable: the engine cannot be built here.
    """
    built = target_for(bundle, device)
    return own_build(bundle, built).program if built is not None else build(oldest_target(device.arch)).program


def target_for(bundle: Bundle, device: Device) -> BuiltTarget | None:
    """The bundle's target for the CPU of ``device`` itself, else the first that it runs; None if there is none."""
    fitting = [built for built in bundle.manifest.targets if built.target.runs_on(device.arch, device.cpu)]
    return next((built for built in fitting if built.cpu == device.cpu), fitting[0] if fitting else None)


def own_build(bundle: Bundle, built: BuiltTarget) -> Build:
    """This installation's build for a target of the bundle, whose files are copies of it.

    Run or load these, never what a bundle brings: it may come from anywhere.

    Raises:
        UsageError: the bundle's files are something else.
        Unavailable: the engine cannot be built here.
    """
    own = build(built.target)
    for file, name in ((own.library, LIBRARY), (own.header, HEADER), (own.program, PROGRAM)):
        if bundle.manifest.files[f"{built.folder}/{name}"].sha256 != sha256(file):
            raise UsageError(
                f"{bundle.path / built.folder / name} is not what this installation builds for {built.target}, "
                "and nothing else is run here: export the model again"
            )
    return own


def _own_program(device: Device) -> Path:
    return build(oldest_target(device.arch)).program


def _session(engine: EngineName, model: Path, data: bytes, graph: Graph, threads: int) -> Session:
    if engine == "reference":
        return ReferenceSession(graph)
    if engine.startswith("lce"):
        return open_session(engine, b"", tflite=data if model.suffix == ".tflite" else _tflite(graph))
    content = data if model.suffix == ".onnx" else onnx.to_bytes(graph)
    return open_session(engine, content, threads=threads)


def _there(
    engine: EngineName,
    graph: Graph,
    model: Path | bytes,
    device: Device,
    program: Callable[[], Path],
    threads: int,
) -> Contender:
    """An engine on a device that is not this machine.

    Raises:
        UsageError: the device does not run it.
    """
    if engine == "native":
        session = ProgramSession(graph, model, program(), device, threads)
        return Contender(engine, str(device), session, session.kernels)
    if engine == "onnxruntime" and device.python:
        return Contender(engine, str(device), OnnxRuntimeOnDevice(graph, model, device))
    others = " and, by its own Python, onnxruntime" if device.python else " alone"
    raise UsageError(f"{device} runs the native engine{others}, not {engine}: leave --on out for {engine}")


def _tflite(graph: Graph) -> bytes:
    require_lce()
    from bnn_toolchain.converters import lce

    return lce.to_bytes(graph)
