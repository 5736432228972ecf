"""The trained module itself, in torch's eager mode: what the exported model must still be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import frexp
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils import _pytree

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.capture.capture import capture
from bnn_toolchain.converters.graph.graph import Graph, bits_in_front, sums_reals
from bnn_toolchain.converters.graph.ops import Flatten, Sign, pack_bits
from bnn_toolchain.converters.graph.traits import is_elementwise
from bnn_toolchain.converters.rounding import LAST_BITS, OWN_ORDER
from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import check_images
from bnn_toolchain.layers import Sign as SignModule
from bnn_toolchain.runtime.bundle.digest import Hidden
from bnn_toolchain.runtime.engines.contract import Contract


@dataclass(frozen=True)
class TorchSession:
    """A module in evaluation mode, and the graph that was exported from it.

    ``rounds`` says that the module's own arithmetic rounds where the graph sums whole numbers: it may multiply by
    weights that are signs times a scale.
    """

    module: nn.Module
    graph: Graph
    rounds: bool = False

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C].

        Raises:
            UsageError: images of another type or size, or the module cannot take them.
        """
        check_images(images, self.graph.spec)
        pixels = self.graph.spec.normalised(images).transpose(0, 3, 1, 2)
        try:
            with torch.no_grad():
                output = _only_tensor(self.module(torch.from_numpy(np.ascontiguousarray(pixels))))
                output = output.reshape(len(images), *self.graph.values[self.graph.output].shape)
        except Exception as error:  # user code runs here, and torch has no common base for what it raises
            who = type(self.module).__name__
            raise UsageError(f"{who} fails on images {list(pixels.shape)}: {type(error).__name__}: {error}") from error
        logits: NDArray[np.float32] = output.numpy()
        return logits

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Hidden]:
        """The logits and the outputs of ``Sign`` modules, packed: those that the contract names."""
        hidden: Hidden = {}
        calls: Counter[str] = Counter()
        shows = self.contract(self.graph).shows

        def keep(path: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
            def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
                calls[path] += 1
                name = path if calls[path] == 1 else f"{path}.{calls[path]}"
                if name in shows:
                    hidden[name] = pack_bits(self._in_file_order(name, output.numpy()))

            return hook

        hooks = [module.register_forward_hook(keep(path)) for path, module in self._signs().items()]
        try:
            return self.run(images), hidden
        finally:
            for hook in hooks:
                hook.remove()

    def contract(self, graph: Graph) -> Contract:
        """Exact bits where they are thresholds of whole numbers, and torch has not rounded these; logits nearly.

        It shows what ``Sign`` modules yield: the graph names a module's first call by the module's path, the others by
        the path and a number. A sign that is called as a function has no module, and neither have the bits that
        pooling or flattening yields behind a sign.
        """
        signs = self._signs()
        shows = tuple(name for name in graph.hidden_bits() if name in signs or _called_again(name) in signs)
        rounds_pixels = any(frexp(scale)[0] != 0.5 for scale in graph.spec.scale)  # else the scale is a power of two
        front = bits_in_front(graph)
        rounded = tuple(n for n in graph.hidden_bits() if self.rounds or (rounds_pixels and not front[n]))
        signs_of_reals = any(isinstance(node.op, Sign) for node in graph.nodes)
        if rounded or signs_of_reals or sums_reals(graph):
            return Contract(shows, logits=OWN_ORDER, reals=OWN_ORDER, rounded=rounded)
        return Contract(shows, logits=LAST_BITS)

    def _signs(self) -> dict[str, SignModule]:
        return {path: module for path, module in self.module.named_modules() if isinstance(module, SignModule)}

    def _in_file_order(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Channels last, also where torch has flattened (C, H, W) and no layer has mixed the features since."""
        if values.ndim == 4:
            return values.transpose(0, 2, 3, 1)
        nodes = {node.name: node for node in self.graph.nodes}
        node = nodes.get(name)
        while node is not None and len(self.graph.values[node.inputs[0]].shape) == 1 and is_elementwise(node.op):
            node = nodes.get(node.inputs[0])
        if node is None or not isinstance(node.op, Flatten):
            return values
        shape = self.graph.values[node.inputs[0]].shape
        return values.reshape(len(values), *shape).transpose(0, 2, 3, 1).reshape(values.shape)


def _called_again(name: str) -> str | None:
    """The path of the module whose second or later call is named ``name``, if it is such a name."""
    path, _, number = name.rpartition(".")
    return path if path and number.isdecimal() else None


def _only_tensor(output: Any) -> torch.Tensor:
    """What the module yields, or the one tensor in the tuple, list or dictionary that it yields."""
    tensors = [leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    if len(tensors) != 1:
        raise TypeError(f"it yields {len(tensors)} tensors, not one of logits")
    return tensors[0]


def of_module(module: nn.Module, graph: Graph) -> TorchSession:
    """A copy of ``module``, normalised float32 images [N, C, H, W] to logits [N, F], in evaluation mode on the CPU.

    Raises:
        Unsupported: nothing like it can have been exported.
    """
    captured = capture(module, graph.spec)
    return TorchSession(captured.module, graph, rounds=bool(captured.roundings))


def load(model: bytes, run: Path) -> TorchSession:
    """The best checkpoint of the training ``run`` that ``model`` was exported from.

    Raises:
        UsageError: there is no such run.
        FileFormatError: the run or the model is truncated, corrupt or foreign.
    """
    from bnn_toolchain.training.load import load_run

    return TorchSession(load_run(run).model, onnx.from_bytes(model))
