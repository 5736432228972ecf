"""Larq Compute Engine's own interpreter: a second opinion on .tflite files, and what they cost there.

It runs in a worker process, because it needs numpy 1 and can crash or hang; either ends as an error that names the
model and the flags, and the next call starts a new worker.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from bnn_toolchain.converters.graph.graph import Graph, sums_reals
from bnn_toolchain.converters.lce import read
from bnn_toolchain.converters.lce.format.flat import with_outputs
from bnn_toolchain.converters.rounding import LAST_BITS, OWN_ORDER
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.files import parse
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.runtime.bundle.digest import Hidden
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.lce import environment as lce_environment

Kernel = Literal["indirect", "optimized", "reference"]
KERNELS: dict[Kernel, dict[str, bool]] = {
    "indirect": {"reference": False, "indirect": True},  # the fastest on x86; one thread
    "optimized": {"reference": False, "indirect": False},  # LCE's default; a plain loop on x86; no groups
    "reference": {"reference": True, "indirect": False},
}
"""LCE's three implementations of its binary convolution."""

SECONDS = 60  # that the interpreter may take to start, to load a model, and for each image
WORDS, LAST = 40, 4096  # words and bytes of what the interpreter printed last, in messages
LINE = 1 << 16  # bytes of an answer's head
WORKER = Path(__file__).with_name("worker.py")


class LceSession:
    """One file in LCE's interpreter; the worker that answers :meth:`run_hidden` starts when it is first asked."""

    def __init__(self, model: bytes, kernel: Kernel, threads: int, name: str) -> None:
        read_model = read(model)
        self.graph: Graph = read_model.graph
        hidden = {value: read_model.tensors[value] for value in self.graph.hidden_bits()}
        self._hidden = tuple(hidden)
        output = read_model.outputs[0]
        self._reads_floats = read_model.reads_floats
        self._plain = Worker(model, kernel, threads, name)
        self._all = Worker(with_outputs(model, (output, *hidden.values())), kernel, threads, name)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C].

        Raises:
            UsageError: images of another type or size.
            CheckFailed: LCE refuses the file, crashes on it or hangs.
        """
        return self.run_timed(images)[0]

    def run_timed(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The logits, and the CPU and wall seconds that each image took inside the interpreter: float64 [N, 2].

        Raises:
            As :meth:`run`.
        """
        seconds, logits = self._plain.run(self._input(images))
        return _channels_first(logits), seconds

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Hidden]:
        """The logits and all binary activations, packed as the reference packs them.

        Raises:
            As :meth:`run`.
        """
        _, logits, *words = self._all.run(self._input(images))
        hidden = {}
        for name, bits in zip(self._hidden, words, strict=True):
            channels, *image = self.graph.values[name].shape
            packed = np.ascontiguousarray(bits, "<i4").view(np.uint8)
            if packed.size != len(images) * prod(image) * -(-channels // 8):  # the last word has bytes to spare
                packed = packed[..., : -(-channels // 8)]
            hidden[name] = packed.reshape(len(images), *image, -(-channels // 8))
        return _channels_first(logits), hidden

    def contract(self, graph: Graph) -> Contract:
        """Exact bits; it rounds the last multiplication and addition, and orders sums of reals, in its own way."""
        if sums_reals(graph):
            return Contract(shows=graph.hidden_bits(), logits=OWN_ORDER, reals=OWN_ORDER)
        return Contract(shows=graph.hidden_bits(), logits=LAST_BITS)

    def _input(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        check_images(images, self.graph.spec)
        if not self._reads_floats:
            return images
        return self.graph.spec.normalised(images)


@dataclass(frozen=True)
class _Answer:
    """The head of what a worker sends back."""

    arrays: tuple[tuple[str, tuple[NonNegativeInt, ...]], ...] = ()  # dtype and shape
    error: str | None = None


class Worker:
    """A process with one model in it, started when it is needed and again after it crashed."""

    def __init__(self, model: bytes, kernel: Kernel, threads: int, name: str) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if kernel not in KERNELS:
            raise UsageError(f"LCE has no kernel '{kernel}': choose from {', '.join(KERNELS)}")
        self._model = model
        self._flags = {"threads": threads, **KERNELS[kernel]}
        self._who = f"LCE's interpreter on {name} (kernel {kernel}, {threads} thread{'s' * (threads > 1)})"

    def run(self, inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The seconds of each image, then every output for all of them.

        Raises:
            Unavailable: the interpreter is not installed or cannot run here.
            CheckFailed: it refuses the model, crashes, or takes more than ``SECONDS``.
        """
        if self._process is None:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would block the worker
            self._process = _start(self._said)
            self._ask({"model": len(self._model), **self._flags}, self._model)
        raw = np.ascontiguousarray(inputs)
        return self._ask({"run": raw.nbytes, "shape": raw.shape, "dtype": raw.dtype.str}, raw.tobytes())

    def close(self) -> None:
        """End the process; the next call starts another."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.communicate()

    def __del__(self) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], payload: bytes) -> list[NDArray[Any]]:
        process = self._process
        assert process and process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.write(payload)
            process.stdin.flush()
            answer = parse(_Answer, process.stdout.readline(LINE))
            arrays = [_array(process, *form) for form in answer.arrays]
        except (OSError, EOFError, ValueError, TypeError, MemoryError):
            how, words = self._end()
            raise CheckFailed(" ".join([self._who, how, *words])) from None
        if answer.error is not None:
            words = self._end()[1] or [answer.error]
            raise CheckFailed(" ".join([self._who, "refuses:", *words]))
        return arrays

    def _end(self) -> tuple[str, list[str]]:
        """End the process, if it did not end itself: how it ended, and the words that it printed last."""
        process = self._process
        assert process
        self.close()
        self._said.seek(max(0, self._said.seek(0, 2) - LAST))
        words = self._said.read().decode(errors="replace").split()[-WORDS:]
        code = process.returncode
        if code == -signal.SIGALRM:
            return f"gave no answer within {SECONDS} seconds", []
        return f"crashed: {signal.Signals(-code).name if code < 0 else 'it ended'}", words


def _start(stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = lce_environment.find()
    command = [lce_environment.interpreter(), "-I", "-S", str(WORKER), str(environment), str(SECONDS)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr)


def _array(process: subprocess.Popen[bytes], dtype: str, shape: Sequence[int]) -> NDArray[Any]:
    assert process.stdout
    size = prod(shape) * np.dtype(dtype).itemsize
    raw = process.stdout.read(size)
    if len(raw) != size:
        raise EOFError
    return np.frombuffer(raw, dtype).reshape(shape)


def _channels_first(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def load(model: bytes, kernel: Kernel = "indirect", threads: int = 1, name: str = "the model") -> LceSession:
    """A session on the content of a .tflite file; ``name`` stands in messages.

    Raises:
        Unavailable: LCE's interpreter is not installed or cannot run here.
        UsageError: there is no such kernel.
        FileFormatError: the file is damaged.
        Unsupported: it holds operators that bnnt does not know.
    """
    lce_environment.find()
    return LceSession(model, kernel, threads, name)
