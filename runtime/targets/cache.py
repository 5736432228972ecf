"""The native engine for a target: as the installation brought it, from the user's cache, or compiled into that once."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.errors import Unavailable
from bnn_toolchain.files import cache_folder
from bnn_toolchain.runtime.targets.compiler import (
    HEADER,
    build_hash,
    compile_engine,
    compile_kernel_programs,
    find_compiler,
    kernel_programs_hash,
    source_hash,
)
from bnn_toolchain.runtime.targets.target import Target

PREBUILT = Path(__file__).parents[1] / "prebuilt"  # of an installation that brings builds: they need no compiler


@dataclass(frozen=True)
class Build:
    """The files of one build."""

    library: Path
    program: Path
    header: Path


def build(
    target: Target,
    compiler: tuple[str, ...] | None = None,
    announce: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> Build:
    """The native engine for ``target``: ready, or compiled now, which ``announce`` is told in one line.

    A build that the installation brings is taken unless a ``compiler``, or the environment variable CXX, asks for
    another. Two processes may build the same thing at once: each works in a folder of its own, and the first to
    finish wins.

    Raises:
        Unavailable: no compiler, one that fails, or a cache that cannot be written.
        UsageError: the compiler does not know the CPU.
    """
    prebuilt = PREBUILT / f"{target.arch}-{target.cpu}-{source_hash()}"
    if compiler is None and not os.environ.get("CXX") and prebuilt.is_dir():
        return _files(prebuilt)
    command = find_compiler() if compiler is None else compiler
    folder = cache_folder() / f"native-{target.arch}-{target.cpu}-{build_hash(target, command)}"
    if not folder.is_dir():
        announce(f"building the native engine for {target} (once, kept in {folder.parent})")
        with _filling(folder) as (objects, done):
            compile_engine(target, command, objects, done)
            shutil.copyfile(HEADER, done / HEADER.name)
    return _files(folder)


def build_kernel_programs(
    target: Target, announce: Callable[[str], None] = lambda line: print(line, file=sys.stderr)
) -> Path:
    """The folder with ``kernel_test`` and ``kernel_bench`` for ``target``, which run from any copy.

    Raises:
        As :func:`build`.
    """
    command = find_compiler()
    folder = cache_folder() / f"kernels-{target.arch}-{target.cpu}-{kernel_programs_hash(target, command)}"
    if not folder.is_dir():
        announce(f"building the kernels' tests for {target} (once, kept in {folder.parent})")
        with _filling(folder) as (objects, done):
            compile_kernel_programs(target, command, objects, done)
    return folder


def _files(folder: Path) -> Build:
    return Build(folder / "libbnnt.so", folder / "bnnt-run", folder / HEADER.name)


@contextmanager
def _filling(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A folder for what a build takes and one for what it makes, which becomes ``folder`` when the block ends."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as temporary:
            done = Path(temporary) / "done"
            done.mkdir()
            yield Path(temporary), done
            try:
                done.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise Unavailable(
            f"cannot write the cache {folder.parent}: {error.strerror}: set BNNT_CACHE to a folder of yours"
        ) from error
