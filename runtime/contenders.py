"""Engines made ready to be compared: on a bundle, on a model file, or on a module of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_toolchain.converters import onnx, require_lce
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import UsageError
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
from bnn_toolchain.runtime.checks.answers import Contender
from bnn_toolchain.runtime.devices.device import Device
from bnn_toolchain.runtime.engines.engine import Session, open_session
from bnn_toolchain.runtime.engines.names import EngineName
from bnn_toolchain.runtime.engines.native.program import ProgramSession
from bnn_toolchain.runtime.engines.reference import ReferenceSession
from bnn_toolchain.runtime.targets.cache import Build, build

if TYPE_CHECKING:
    from torch import nn


def bundle_contender(bundle: Bundle, engine: EngineName, device: Device, run: Path | None = None) -> Contender:
    """``engine`` on ``device``, with the bundle's model.

    ``run`` is the training run for the torch engine; if it is not given, the one that the manifest names.

    Raises:
        Unavailable: the engine or what it needs is not here.
        UsageError: the device does not run this engine, the bundle has no target that it runs, the target is not
            what this installation builds, or the training run's checkpoint has changed since the export.
    """
    if device.here:
        if engine == "torch" and run is None:
            run = exported_run(bundle)
        return Contender(engine, str(device), open_session(engine, bundle.model, run, bundle.tflite))
    if engine != "native":
        raise UsageError(f"{device} runs the native engine alone, not {engine}: leave --on out for {engine}")
    program = own_build(bundle, target_for(bundle, device)).program
    return Contender(engine, str(device), ProgramSession(bundle.graph, bundle.path / MODEL, program, device))


def file_contenders(model: Path, graph: Graph, engines: Sequence[EngineName], device: Device) -> list[Contender]:
    """``engines`` on the file itself where they read its format, else on the same ``graph`` in theirs.

    Raises:
        UsageError: ``device`` is not this machine.
        Unavailable: an engine or what it needs is not here.
    """
    if not device.here:
        raise UsageError(f"{device} needs the engine built for it: export {model} with --target {device.arch} first")
    data, contenders = read_bounded(model, LARGE_FILE), []
    for engine in engines:
        if engine == "reference":
            session: Session = ReferenceSession(graph)
        elif engine.startswith("lce"):
            session = open_session(engine, b"", tflite=data if model.suffix == ".tflite" else _tflite(graph))
        else:
            session = open_session(engine, data if model.suffix == ".onnx" else onnx.to_bytes(graph))
        contenders.append(Contender(engine, str(device), session))
    return contenders


def module_contender(module: nn.Module, graph: Graph) -> Contender:
    """The user's own trained module, as the torch engine on this machine.

    Raises:
        UsageError: the module cannot run.
    """
    from bnn_toolchain.runtime.engines.torch import of_module as session_of

    return Contender("torch", "local", session_of(module, graph))


def target_for(bundle: Bundle, device: Device) -> BuiltTarget:
    """The bundle's target for the CPU of ``device`` itself, else the first that it runs.

    Raises:
        UsageError: there is none.
    """
    fitting = [built for built in bundle.manifest.targets if built.target.runs_on(device.arch, device.cpu)]
    if not fitting:
        present = ", ".join(str(built.target) for built in bundle.manifest.targets) or "none"
        raise UsageError(
            f"{bundle.path} has no target that {device.cpu} runs (it has: {present}): "
            f"export with --target {device.arch} --cpu {device.cpu}"
        )
    return next((built for built in fitting if built.cpu == device.cpu), fitting[0])


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


def _tflite(graph: Graph) -> bytes:
    require_lce()
    from bnn_toolchain.converters import lce

    return lce.to_bytes(graph)
