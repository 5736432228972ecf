"""A folder that is whole or not there: it takes its name in one step, from an older one as well."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux
RANDOM = re.compile(r"[a-z0-9_]{8}")  # what mkdtemp adds to its prefix


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill: it takes the name ``path`` when the block ends, and vanishes if the block fails.

    An older folder of that name keeps it, whole, until the new one has it, also if this process is killed. What a
    killed one left beside ``path`` is removed by the next for the same name.

    Raises:
        OSError: it cannot be written, or the file system cannot replace a folder in one step.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.bnnt-"
    with _locked(path.parent):
        _remove_abandoned(path.parent, prefix)
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        lock = _lock(made)  # while this process lives
    try:
        yield made
        made.chmod(0o755)
        _sync(made)
        with _locked(path.parent):
            if path.is_dir() and any(path.iterdir()):
                _exchange(made, path)
            else:
                made.rename(path)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # the older folder, or what failed
        os.close(lock)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.iterdir():
        if not folder.name.startswith(prefix) or not RANDOM.fullmatch(folder.name[len(prefix) :]):
            continue
        try:
            lock = _lock(folder, fcntl.LOCK_NB)
        except OSError:  # a living process fills it, or another user's did
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, how: int = 0) -> int:
    """A descriptor that holds the lock of ``folder`` until it is closed, or its process ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sync(folder: Path) -> None:
    """Wait until all files are on the disk: some file systems say only then that they are full."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that neither is ever missing."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    code = errno.ENOSYS
    if rename is not None:
        if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        raise OSError(code, "nothing can be replaced in one step on this file system: delete the old one first", other)
    raise OSError(code, os.strerror(code), other)
