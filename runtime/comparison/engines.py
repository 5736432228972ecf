"""The engines that are compared: how a round of runs of each is taken."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.lce.format.container import encode
from bnn_toolchain.errors import Unavailable, Unsupported
from bnn_toolchain.runtime.checks import peers
from bnn_toolchain.runtime.checks.peers import SECONDS, Pinned
from bnn_toolchain.runtime.checks.twins import float_twin, int8_twins
from bnn_toolchain.runtime.comparison.tflite_twins import Kind, tflite_twin
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.engines.native.library import kernel_sets
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import host_target

LOCAL, ANYWHERE = Local(), Pinned("", None)


@dataclass
class Engine:
    """One engine on one network: seconds of one image, CPU and wall, of every run so far."""

    name: str
    threads: int
    sample: Callable[[], NDArray[np.float64]]  # [runs, 2]
    rounds: list[NDArray[np.float64]] = field(default_factory=list)

    def take_round(self) -> None:
        self.rounds.append(self.sample())

    def times(self) -> NDArray[np.float64]:
        """Of every run: CPU seconds of one thread, wall seconds of several."""
        return np.concatenate(self.rounds)[:, 0 if self.threads == 1 else 1]


def engines_for(graph: Graph, folder: Path, bench_python: Path) -> Iterator[Engine | str]:
    """All that run ``graph`` here, and why the others do not."""
    images = np.random.default_rng(0).integers(0, 256, (1, *graph.spec.shape), np.uint8)
    binary, real = folder / "binary.onnx", folder / "float.onnx"
    binary.write_bytes(onnx.to_bytes(graph))
    real.write_bytes(float_twin(graph))
    int8 = [folder / f"int8-{scheme}.onnx" for scheme in range(2)]
    for file, twin in zip(int8, int8_twins(graph), strict=True):
        file.write_bytes(twin)
    program = build(host_target()).program
    litert = _litert_files(graph, folder)
    for threads in (1, 2):
        for kernels in kernel_sets() if threads == 1 else kernel_sets()[:1]:
            native = peers.native(LOCAL, program, binary, 1, ANYWHERE, threads, kernels)
            yield Engine(f"bnnt {kernels}", threads, _as_times(native))
        stock = [peers.stock("", file.read_bytes(), images, threads) for file in (real, *int8)]
        yield Engine("onnxruntime fp32", threads, _as_times(stock[0]))
        yield _faster([Engine("onnxruntime int8", threads, _as_times(peer)) for peer in stock[1:]])
        yield _elsewhere("OpenVINO int8", bench_python, "openvino", int8, images, threads)
        yield _elsewhere("ExecuTorch int8", bench_python, "executorch", [real], images, threads)
        for name, file in litert.items():
            yield _elsewhere(name, bench_python, "litert", [file], images, threads)
    try:
        yield Engine("LCE indirect", 1, _as_times(peers.lce(graph, images)))
    except (Unavailable, Unsupported) as error:
        yield f"LCE: {error}"


def _faster(schemes: Sequence[Engine]) -> Engine:
    """int8 networks come in two schemes of quantisation: the one that is faster on this engine."""
    return min(schemes, key=lambda engine: float(np.median(engine.sample()[:, 1])))


def _as_times(peer: peers.Peer) -> Callable[[], NDArray[np.float64]]:
    def sample() -> NDArray[np.float64]:
        taken = peer.sample()
        return np.stack([taken.wall if taken.cpu is None else taken.cpu, taken.wall], axis=1)

    return sample


def _litert_files(graph: Graph, folder: Path) -> dict[str, Path]:
    """The twins by the names of their rows."""
    files: dict[str, Path] = {}
    kinds: tuple[tuple[str, Kind], ...] = (("LiteRT fp32", "FLOAT32"), ("LiteRT int8", "INT8"))
    for name, kind in kinds:
        files[name] = folder / f"{kind.lower()}.tflite"
        files[name].write_bytes(encode(tflite_twin(graph, kind)))
    return files


def _elsewhere(
    name: str, python: Path, package: str, models: Sequence[Path], images: NDArray[np.uint8], threads: int
) -> Engine | str:
    """An engine of the environment at ``python`` on the model that it is faster on, or why it runs none of them."""
    if not python.exists():
        return f"{name}: no environment with its wheel at {python}: make bench installs one"
    engines, reason = [], ""
    for model in models:  # one of them may want what it does not have on this CPU
        try:
            engines.append(Engine(name, threads, _Worker(python, package, model, images, threads).sample))
        except Unavailable as error:
            reason = f"{name}: {error}"
    return _faster(engines) if engines else reason


class _Worker:
    """A process of an environment of its own; it answers each line with the times of a round."""

    def __init__(self, python: Path, package: str, model: Path, images: NDArray[np.uint8], threads: int) -> None:
        np.save(model.with_suffix(".npy"), images)
        words: list[str | Path] = [package, model, model.with_suffix(".npy"), str(threads), str(SECONDS)]
        self._process = subprocess.Popen(
            [python, Path(__file__).parent / "worker.py", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.sample()

    def sample(self) -> NDArray[np.float64]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable("its worker does not run this network")
        return np.array(json.loads(line), np.float64)

    def __del__(self) -> None:
        self._process.kill()
        self._process.wait()
