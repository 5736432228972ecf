"""A model's lowered graph, whatever holds the model: a training run, a bundle, a file, or a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bnn_toolchain.converters import require_lce
from bnn_toolchain.errors import UsageError

if TYPE_CHECKING:
    from bnn_toolchain.converters.graph.graph import Graph


def open_model(path: Path) -> Graph:
    """The lowered graph of ``path``: a training run, a bundle, an .onnx or a .tflite file.

    Raises:
        UsageError: nothing is there, or it is none of these.
        FileFormatError: it is truncated, corrupt or foreign.
        Unsupported: it holds an operator that the graph has no place for, or does not yield one logit for each class.
    """
    from bnn_toolchain.converters.graph.classifier import check_classifier

    graph = _read_model(path)
    check_classifier(graph)
    return graph


def _read_model(path: Path) -> Graph:
    if not path.exists():
        raise UsageError(f"{path} does not exist: give a run folder, a bundle, an .onnx or a .tflite file")
    if (path / "manifest.json").is_file():
        from bnn_toolchain.runtime.bundle.format import open_bundle

        return open_bundle(path).graph
    if (path / "recipe.yaml").is_file():
        from bnn_toolchain.converters import convert
        from bnn_toolchain.training.load import load_run

        run = load_run(path)
        return convert(run.model, run.input_spec)
    if path.suffix == ".onnx":
        from bnn_toolchain.converters import onnx

        return onnx.load(path)
    if path.suffix == ".tflite":
        require_lce()
        from bnn_toolchain.converters import lce

        return lce.load(path)
    raise UsageError(
        f"{path} is not a model: give a run folder (of bnnt train), a bundle (of bnnt export), an .onnx or a .tflite"
    )


def untrained(recipe: str) -> Graph:
    """The lowered graph of a recipe's network with its initial weights.

    Raises:
        UsageError: no such recipe, or its data set is missing.
    """
    from bnn_toolchain.converters import convert
    from bnn_toolchain.data.load import load_splits
    from bnn_toolchain.models import build_network
    from bnn_toolchain.training.recipe import load_recipe

    loaded = load_recipe(recipe)
    spec = load_splits(loaded.data).spec
    return convert(build_network(loaded.model, spec), spec)
