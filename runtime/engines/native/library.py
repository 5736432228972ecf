"""The native engine in this process: ctypes and numpy, nothing else."""

from __future__ import annotations

import ctypes
import json
from ctypes import byref, c_size_t, c_uint8, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import BnntError, FileFormatError, Unsupported, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.native import abi
from bnn_toolchain.runtime.engines.native.abi import Workers
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import host_target

MEMORY = 1 << 32  # bytes that a session may take here: the largest values and their scratch
_ERRORS: dict[int, type[BnntError]] = {2: FileFormatError, 3: Unsupported, 4: UsageError}
TOGETHER = 8  # images, where many follow each other: more are no faster, and each has memory of its own
_KINDS = ("pixels", "bits", "acc", "real")


@dataclass(frozen=True)
class NativeNode:
    """One node as the engine runs it; ``shape`` is that of one image, [H, W, C] or [F], ``bytes`` its value's size."""

    name: str
    op: str
    kernel: str
    kind: str
    shape: tuple[int, ...]
    bytes: int
    hidden_offset: int


@dataclass(frozen=True)
class NodeTime:
    """What one node costs: the least time of one image, in seconds of wall clock."""

    name: str
    op: str
    kernel: str
    seconds: float


def load(
    model: bytes, kernels: str | None = None, workers: Workers | None = None, threads: int = 1, images: int = 1
) -> NativeSession:
    """Open the content of a canonical .onnx file on this machine, building the engine if the cache has none.

    ``kernels`` names a kernel set (one of :func:`kernel_sets`); without it the best that this CPU runs is taken.
    ``threads`` of the library's own share the work, at most as many as this process may use CPUs; or ``workers`` of
    yours. So many ``images`` are computed together at most, each with memory of its own: dense layers read their
    weights once for all of them, and threads share them. What comes out is the same to the last bit.

    Raises:
        FileFormatError: the file is truncated, foreign or corrupt.
        Unsupported: an operator gets what it does not take; the message names the node.
        UsageError: no such kernel set, or not on this CPU; or no such number of threads or images.
        Unavailable: the engine cannot be built here.
    """
    library = abi.open_library(build(host_target()).library)
    pool = abi.Pool(library, threads) if threads != 1 else None
    return NativeSession(library, model, abi.options_of(kernels, images), workers, pool)


def kernel_sets() -> tuple[str, ...]:
    """The kernel sets that this CPU runs, best first."""
    library = abi.open_library(build(host_target()).library)
    names: list[str] = []
    while (name := library.bnnt_kernel_set(len(names))) is not None:
        names.append(name.decode())
    return tuple(name for name in names if name)


class NativeSession:
    """A model in memory, for one thread at a time. Made by :func:`load`."""

    def __init__(
        self,
        library: ctypes.CDLL,
        model: bytes,
        options: abi.Options,
        workers: Workers | None,
        pool: abi.Pool | None,
    ) -> None:
        self._library, self._model = library, model  # the session reads names and metadata in place
        self._failures: list[BaseException] = []  # of workers
        self._options = options
        if workers is not None:
            options.threads, options.parallel_for = workers.threads, abi.parallel_for(workers, self._failures)
        self._pool = pool  # lives as long as the session
        if pool is not None:
            for name, value in pool.options.items():
                setattr(self._options, name, value)
        self._session, self._memory = _open(library, model, self._options)
        info = abi.Info()
        library.bnnt_describe(self._session, byref(info))
        self._info = info
        self.nodes = tuple(_node(library, self._session, index) for index in range(info.nodes))
        self.kernels: str = info.kernels.decode()
        """The kernel set in use."""
        self.version: str = library.bnnt_version().decode()
        self.memory_bytes: int = info.memory_bytes
        """All memory that the session uses, in bytes, besides the model's own."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, uint8 (H, W, C)."""
        return (self._info.height, self._info.width, self._info.channels)

    @property
    def spec(self) -> InputSpec:
        """The size, normalisation and class names that the file brings.

        Raises:
            FileFormatError: the file's words about its input are none.
        """
        text = ctypes.string_at(self._info.input, self._info.input_bytes)
        try:
            return InputSpec.from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"the model's input is not described: {error}") from error

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's output for uint8 ``images`` [N, H, W, C]: float32 [N, F], or [N, C, H, W].

        Raises:
            UsageError: images of another type or size.
        """
        return self._run(images, abi.Trace())

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, NDArray[np.uint8]]]:
        """The output and every binary activation by name, packed as ``converters.reference.run_hidden`` packs it.

        Raises:
            UsageError: images of another type or size.
        """
        hidden = np.zeros((len(images), self._info.hidden_bytes), np.uint8)
        logits = self._run(images, abi.Trace(hidden=hidden.ctypes.data))
        packed = {}
        for node in self.nodes:
            if node.kind == "bits":
                last = (node.shape[-1] + 7) // 8
                part = hidden[:, node.hidden_offset : node.hidden_offset + node.bytes]
                packed[node.name] = part.reshape(len(images), *node.shape[:-1], last)
        return logits, packed

    def contract(self, graph: Graph) -> Contract:
        """Everything, exactly: it sums reals in the reference's order."""
        return Contract(shows=graph.hidden_bits())

    def profile(self, images: NDArray[np.uint8], repeats: int) -> tuple[NodeTime, ...]:
        """Run ``images`` one at a time, ``repeats`` times over, and keep each node's least time.

        Raises:
            UsageError: no images, images of another type or size, or fewer than one repeat.
        """
        if repeats < 1 or len(images) < 1:
            raise UsageError(f"a profile of {len(images)} images and {repeats} repeats: at least one of each")
        clock = ctypes.cast(self._library.bnnt_nanoseconds, c_void_p).value
        least = np.full(len(self.nodes), np.iinfo(np.uint64).max, np.uint64)
        for image in np.tile(np.arange(len(images)), repeats):
            times = np.zeros(len(self.nodes), np.uint64)
            self._run(images[image : image + 1], abi.Trace(nanoseconds=times.ctypes.data, clock=clock))
            np.minimum(least, times, out=least)
        return tuple(
            NodeTime(node.name, node.op, node.kernel, float(time) * 1e-9)
            for node, time in zip(self.nodes, least, strict=True)
        )

    def _run(self, images: NDArray[np.uint8], trace: abi.Trace) -> NDArray[np.float32]:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise UsageError(
                f"images are {images.dtype} {list(images.shape)}, the model takes uint8 "
                f"[N, {height}, {width}, {channels}] (NHWC)"
            )
        images = np.ascontiguousarray(images)
        shape = tuple(self._info.output_shape[: self._info.output_rank])
        logits = np.empty((len(images), *shape), np.float32)
        status = self._library.bnnt_run(
            self._session, images.ctypes.data, len(images), logits.ctypes.data, byref(trace)
        )
        if self._failures:
            first = self._failures[0]
            self._failures.clear()
            raise first
        if status != 0:
            raise UsageError(f"the native engine refused to run (status {status})")
        return logits


def _open(library: ctypes.CDLL, model: bytes, options: abi.Options) -> tuple[c_void_p, ctypes.Array[Any]]:
    """The session and the memory that it lives in."""
    session, needed, error = c_void_p(), c_size_t(), abi.Error()
    status = abi.MEMORY_WANTED
    memory: ctypes.Array[Any] = (c_uint8 * 0)()
    while status == abi.MEMORY_WANTED:
        if needed.value > MEMORY:
            raise Unsupported(f"the model needs {needed.value} bytes of memory, the limit is {MEMORY}")
        try:
            memory = (c_uint8 * needed.value)()
        except MemoryError as exhausted:
            raise Unsupported(f"the model needs {needed.value} bytes of memory, which are not there") from exhausted
        status = library.bnnt_open(
            model, len(model), byref(options), memory, needed.value, byref(session), byref(needed), byref(error)
        )
    if status != 0:
        raise _ERRORS[status](error.text.decode(errors="replace"))
    return session, memory


def _node(library: ctypes.CDLL, session: c_void_p, index: int) -> NativeNode:
    node = abi.Node()
    library.bnnt_describe_node(session, index, byref(node))
    return NativeNode(
        node.name.decode(errors="replace"),
        node.op.decode(),
        node.kernel.decode(),
        _KINDS[node.kind],
        tuple(node.shape[: node.rank]),
        node.bytes,
        node.hidden_offset,
    )
