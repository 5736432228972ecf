"""Whatever a user calls "the model" as a graph: a run folder, a bundle, or a model file."""

from __future__ import annotations

from pathlib import Path

from bnn_toolchain.converters.graph import Graph
from bnn_toolchain.errors import UsageError


def open_model(path: Path) -> Graph:
    """The lowered graph of ``path``: a training run, a bundle, an .onnx or a .tflite file.

    Raises:
        UsageError: nothing is there, or it is none of these.
        FileFormatError: it is truncated, corrupt or foreign.
        Unsupported: it holds an operator that the graph has no place for.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist: give a run folder, a bundle, an .onnx or a .tflite file")
    if (path / "manifest.json").is_file():
        from bnn_toolchain.runtime.bundle import open_bundle

        return open_bundle(path).graph
    if (path / "recipe.yaml").is_file():
        from bnn_toolchain.converters import convert
        from bnn_toolchain.training.run import load_run

        run = load_run(path)
        return convert(run.model, run.input_spec)
    if path.suffix == ".onnx":
        from bnn_toolchain.converters import onnx

        return onnx.load(path)
    raise UsageError(f"{path} is not a model: give a run folder (of bnnt train), a bundle (of bnnt export) or an .onnx")
