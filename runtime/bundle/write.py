"""Writing a bundle's files, and what an export may replace by it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.bundle.format import (
    GOLDEN,
    HEADER,
    LIBRARY,
    MANIFEST,
    MODEL,
    PROGRAM,
    TFLITE,
    Accuracy,
    BuiltTarget,
    FileEntry,
    Manifest,
    Source,
    Versions,
    is_bundle,
    read_manifest,
)
from bnn_toolchain.runtime.bundle.golden import Golden, write_golden
from bnn_toolchain.runtime.targets.cache import Build
from bnn_toolchain.runtime.targets.target import Target


def write_bundle(
    folder: Path,
    graph: Graph,
    golden: Golden,
    *,
    tflite: bytes | None,
    builds: Mapping[Target, Build],
    accuracy: Accuracy | None,
    source: Source | None,
) -> None:
    """Fill the empty ``folder``; the manifest comes last.

    Raises:
        Unsupported: the graph is not lowered.
        UsageError, OSError: a file cannot be written.
    """
    onnx.save(graph, folder / MODEL)
    if tflite is not None:
        (folder / TFLITE).write_bytes(tflite)
    (folder / GOLDEN).mkdir()
    write_golden(golden, folder / GOLDEN)
    targets = []
    for target, build in builds.items():
        built = BuiltTarget(arch=target.arch, cpu=target.cpu)
        (folder / built.folder).mkdir(parents=True)
        for path, name in ((build.library, LIBRARY), (build.header, HEADER), (build.program, PROGRAM)):
            shutil.copy(path, folder / built.folder / name)
        targets.append(built)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    manifest = Manifest(
        format=1,
        versions=Versions(bnnt=metadata.version("bnnt"), torch=_torch(), onnx=metadata.version("onnx")),
        input=graph.spec,
        decided_by=graph.decided_by,
        accuracy=accuracy,
        source=source,
        targets=tuple(targets),
        files={path.relative_to(folder).as_posix(): FileEntry.of(path) for path in paths},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def refuse_to_lose(out: Path) -> None:
    """Let ``out`` be replaced only if it is nothing, an empty folder, or a bundle and nothing else.

    Raises:
        UsageError: it is something else; the message names what would be lost.
    """
    if not out.exists():
        return
    if out.samefile("."):
        raise UsageError(f"{out} is the current folder, which cannot be replaced: choose another --out")
    if out.is_dir() and not any(out.iterdir()):
        return
    if not is_bundle(out):
        raise UsageError(f"{out} exists and is not a bundle: nothing is overwritten; choose another --out")
    own = {MANIFEST, *read_manifest(out).files}
    for path in out.rglob("*"):
        if not path.is_dir() and path.relative_to(out).as_posix() not in own:
            raise UsageError(f"{path} is not the bundle's, and would be lost: move it, or choose another --out")


def _torch() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
