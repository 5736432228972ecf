"""bnnt.h in ctypes: its structs, its functions, and workers of Python as its parallel_for."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char, c_char_p, c_int32, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bnn_toolchain.errors import Unavailable, UsageError

ABI = 1  # BNNT_ABI
MEMORY_WANTED = 1  # BNNT_MEMORY
MOST_IMAGES = 4096  # computed together

TASK = CFUNCTYPE(None, c_void_p, c_size_t, c_int32)
PARALLEL_FOR = CFUNCTYPE(None, c_void_p, c_size_t, TASK, c_void_p)


class Options(Structure):
    _fields_ = (
        ("struct_size", c_size_t),
        ("abi", c_int32),
        ("threads", c_int32),
        ("kernels", c_char_p),
        ("parallel_for", PARALLEL_FOR),
        ("context", c_void_p),
        ("images", c_int32),
    )


class Error(Structure):
    _fields_ = (("status", c_int32), ("text", c_char * 244))


class Info(Structure):
    _fields_ = (
        ("height", c_int32),
        ("width", c_int32),
        ("channels", c_int32),
        ("output_rank", c_int32),
        ("output_shape", c_int32 * 3),
        ("nodes", c_int32),
        ("hidden", c_int32),
        ("outputs", c_size_t),
        ("hidden_bytes", c_size_t),
        ("memory_bytes", c_size_t),
        ("kernels", c_char_p),
        ("input", c_void_p),
        ("input_bytes", c_size_t),
    )


class Node(Structure):
    _fields_ = (
        ("name", c_char_p),
        ("op", c_char_p),
        ("kernel", c_char_p),
        ("kind", c_int32),
        ("rank", c_int32),
        ("shape", c_int32 * 3),
        ("bytes", c_size_t),
        ("hidden_offset", c_size_t),
    )


class Trace(Structure):
    _fields_ = (("hidden", c_void_p), ("nanoseconds", c_void_p), ("clock", c_void_p))


@cache
def open_library(path: Path) -> ctypes.CDLL:
    """The library in ``path``, its functions typed.

    Raises:
        Unavailable: it cannot be loaded, or was compiled from another bnnt.h.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise Unavailable(f"cannot load {path}: {error}: delete its folder to build it again") from error
    for name, result, arguments in (
        ("bnnt_version", c_char_p, ()),
        ("bnnt_abi", c_int32, ()),
        ("bnnt_kernel_set", c_char_p, (c_int32,)),
        ("bnnt_nanoseconds", c_uint64, ()),
        ("bnnt_pool_open", c_int32, (c_int32, c_int32, c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t))),
        ("bnnt_pool_threads", c_int32, (c_void_p,)),
        ("bnnt_pool_close", None, (c_void_p,)),
        ("bnnt_describe", None, (c_void_p, POINTER(Info))),
        ("bnnt_describe_node", c_int32, (c_void_p, c_int32, POINTER(Node))),
        ("bnnt_run", c_int32, (c_void_p, c_void_p, c_size_t, c_void_p, POINTER(Trace))),
        (
            "bnnt_open",
            c_int32,
            (
                *(c_char_p, c_size_t, POINTER(Options), c_void_p, c_size_t),
                *(POINTER(c_void_p), POINTER(c_size_t), POINTER(Error)),
            ),
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if library.bnnt_abi() != ABI:
        raise Unavailable(f"{path} has ABI {library.bnnt_abi()}, not {ABI}: delete its folder to build it again")
    return library


@dataclass(frozen=True)
class Workers:
    """Who runs the parts of a layer: ``run(count, task)`` calls ``task(index, worker)`` once for each index of count.

    In any order and on any threads, if tasks that go on at the same time have different workers below ``threads``.
    """

    threads: int
    run: Callable[[int, Callable[[int, int], None]], None]


class Pool:
    """The library's own threads, as many as ``threads`` and no more than this process may use CPUs; ended with it."""

    def __init__(self, library: ctypes.CDLL, threads: int) -> None:
        pool, needed = c_void_p(), c_size_t()
        memory = (ctypes.c_uint8 * 0)()
        status = library.bnnt_pool_open(threads, 0, memory, 0, byref(pool), byref(needed))
        if status == MEMORY_WANTED:
            memory = (ctypes.c_uint8 * needed.value)()
            status = library.bnnt_pool_open(threads, 0, memory, needed.value, byref(pool), byref(needed))
        if status != 0:
            raise UsageError(f"{threads} threads: from 1 to 1024 are possible")
        self._memory = memory
        self.options = {
            "threads": library.bnnt_pool_threads(pool),
            "parallel_for": ctypes.cast(library.bnnt_pool_for, PARALLEL_FOR),
            "context": pool,
        }
        weakref.finalize(self, library.bnnt_pool_close, pool)


def options_of(kernels: str | None, images: int) -> Options:
    """The options for one thread, a kernel set, and so many images computed together.

    Raises:
        UsageError: a number of images that there cannot be.
    """
    if not 1 <= images <= MOST_IMAGES:
        raise UsageError(f"{images} images together: from 1 to {MOST_IMAGES} are possible")
    name = None if kernels is None else kernels.encode()
    return Options(ctypes.sizeof(Options), ABI, 1, name, PARALLEL_FOR(), None, images)


def parallel_for(workers: Workers, failures: list[BaseException]) -> Callable[..., None]:
    """``workers`` for the library. Their errors cannot pass it: ``failures`` gets them."""
    run = workers.run

    def parallel(_context: int, count: int, task: Callable[..., None], argument: int) -> None:
        done: list[int] = []

        def perform(index: int, worker: int) -> None:
            task(argument, index, worker)
            done.append(index)

        try:
            run(count, perform)
            if sorted(done) != list(range(count)):
                raise UsageError(f"workers ran the tasks {sorted(done)} of {count}: each must run once")
        except BaseException as error:
            failures.append(error)

    return PARALLEL_FOR(parallel)
