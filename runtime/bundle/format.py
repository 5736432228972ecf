"""A bundle: the folder that ships a model. Everything in it is checked against its manifest before it is used.

model.onnx                                canonical ONNX
model.tflite                              the same for LCE, if it was asked for
manifest.json                             versions, input, classes, accuracy, source, sizes and hashes
golden/{images,logits,digests}.npy        test images and the reference's answers to the last bit
targets/ARCH-CPU/{libbnnt.so,bnnt.h,bnnt-run}   the native engine, once for each target
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pydantic

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph.classifier import check_classifier
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.files import SMALL_FILE, Strict, parse, read_bounded
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.bundle import golden
from bnn_toolchain.runtime.targets.target import Arch, Target

MODEL, TFLITE, MANIFEST, GOLDEN, TARGETS = "model.onnx", "model.tflite", "manifest.json", "golden", "targets"
LIBRARY, HEADER, PROGRAM = "libbnnt.so", "bnnt.h", "bnnt-run"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*){0,2}")


class Versions(Strict):
    """Which packages made the bundle."""

    bnnt: str
    torch: str | None  # None where a model file was exported without it
    onnx: str


class Accuracy(Strict):
    """How the exported model did on a data set's test images."""

    data_set: str
    images: int
    correct: int

    @property
    def value(self) -> float:
        """The share of images classified as labelled."""
        return self.correct / self.images


class Source(Strict):
    """The training run that the model was exported from."""

    run: str  # the run folder, seen from the bundle's folder
    checkpoint: str  # a file in it
    sha256: str  # of that file


class BuiltTarget(Strict):
    """One target that the native engine was built for."""

    arch: Arch
    cpu: str

    @property
    def target(self) -> Target:
        """What it was built for."""
        return Target(self.arch, self.cpu)

    @property
    def folder(self) -> str:
        """Where it lies in the bundle."""
        return f"{TARGETS}/{self.arch}-{self.cpu}"


class FileEntry(Strict):
    """Size in bytes and hash of one file."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileEntry:
        """Those of the file ``path``."""
        return cls(bytes=path.stat().st_size, sha256=sha256(path))


class Manifest(Strict):
    """What manifest.json holds."""

    format: Literal[1]
    versions: Versions
    input: InputSpec
    decided_by: str  # which torch decided the thresholds
    accuracy: Accuracy | None  # None for a model whose test images nobody gave
    source: Source | None
    targets: tuple[BuiltTarget, ...]
    files: dict[str, FileEntry]  # every file but the manifest, by its path in the bundle

    @pydantic.field_serializer("input")
    def _write_input(self, spec: InputSpec) -> dict[str, Any]:
        return spec.to_json()


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are those of its manifest."""

    path: Path
    manifest: Manifest
    model: bytes  # the content of model.onnx
    graph: Graph

    @cached_property
    def golden(self) -> golden.Golden:
        """The golden vectors.

        Raises:
            FileFormatError: they are not this model's.
        """
        return golden.read_golden(self.path / GOLDEN, self.graph)

    @cached_property
    def tflite(self) -> bytes | None:
        """The content of model.tflite, if the bundle has it."""
        return (self.path / TFLITE).read_bytes() if TFLITE in self.manifest.files else None


def open_bundle(path: Path) -> Bundle:
    """Read a bundle, and check the size and hash of every file.

    Raises:
        UsageError: nothing is there.
        FileFormatError: a file is missing, truncated, changed or foreign; the message names it.
        Unsupported: the model does not yield one logit for each class.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder: give a bundle that `bnnt export` wrote")
    manifest = read_manifest(path)
    needed = {MODEL, *(f"{GOLDEN}/{name}" for name in golden.FILES)}
    needed |= {f"{target.folder}/{name}" for target in manifest.targets for name in (LIBRARY, HEADER, PROGRAM)}
    if needed != set(manifest.files) - {TFLITE}:
        wrong = ", ".join(sorted(needed ^ (set(manifest.files) - {TFLITE})))
        raise FileFormatError(f"{path / MANIFEST} lists other files than a bundle has: {wrong}")
    for name, file in manifest.files.items():
        _check_file(path / name, file)
    model = (path / MODEL).read_bytes()
    graph = onnx.load(path / MODEL)
    if (graph.spec, graph.decided_by) != (manifest.input, manifest.decided_by):
        raise FileFormatError(f"{path / MANIFEST} describes another input, or other thresholds, than {MODEL} holds")
    check_classifier(graph)
    return Bundle(path, manifest, model, graph)


def is_bundle(path: Path) -> bool:
    """Whether ``path`` is a folder that an export wrote: one with a manifest of ours, damaged files or not."""
    try:
        read_manifest(path)
    except FileFormatError:
        return False
    return True


def read_manifest(path: Path) -> Manifest:
    """The manifest of the bundle ``path``.

    Raises:
        FileFormatError: missing, truncated, or not a manifest.
    """
    file = path / MANIFEST
    try:
        manifest = parse(Manifest, read_bounded(file, SMALL_FILE))
    except OSError as error:
        raise FileFormatError(f"{path} is not a bundle: cannot read {file.name}: {error.strerror}") from error
    except ValueError as error:
        raise FileFormatError(f"{file} is truncated, corrupt or foreign: {error}") from error
    except UsageError as error:
        raise FileFormatError(f"{file}: {error}") from error
    for name in (*manifest.files, *(target.folder for target in manifest.targets)):
        if not NAME.fullmatch(name):
            raise FileFormatError(f"{file} names a file '{name}', which cannot be in a bundle")
    return manifest


def sha256(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(path: Path, file: FileEntry) -> None:
    try:
        size = path.stat().st_size
        if size != file.bytes:
            raise FileFormatError(
                f"{path} has {size} bytes, its manifest says {file.bytes}: it is truncated or changed; export again"
            )
        if sha256(path) != file.sha256:
            raise FileFormatError(f"{path} has changed since the export: its hash is not the manifest's; export again")
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
