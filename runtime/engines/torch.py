"""The trained module itself, in torch's eager mode: what the exported model must still be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph import Graph
from bnn_toolchain.converters.ops import Add, Affine, Flatten, Hardtanh, Relu, Sign, Threshold, ToReal, pack_bits
from bnn_toolchain.data.input import check_images
from bnn_toolchain.layers import Sign as SignModule
from bnn_toolchain.runtime.digest import Hidden

ELEMENTWISE = (Add, Affine, Hardtanh, Relu, Sign, Threshold, ToReal)


@dataclass(frozen=True)
class TorchSession:
    """A module in evaluation mode, and the graph that was exported from it."""

    module: nn.Module
    graph: Graph

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, F] of uint8 images [N, H, W, C]."""
        check_images(images, self.graph.spec)
        scale, offset = np.array(self.graph.spec.scale, np.float32), np.array(self.graph.spec.offset, np.float32)
        pixels = ((images.astype(np.float32) - offset) * scale).transpose(0, 3, 1, 2)
        with torch.no_grad():
            logits: NDArray[np.float32] = self.module(torch.from_numpy(np.ascontiguousarray(pixels))).numpy()
        return logits

    def run_hidden(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Hidden]:
        """The logits and the outputs of all ``Sign`` modules, packed, by the modules' paths.

        Bits that pooling or flattening yields behind a sign have no module of their own and are not shown.
        """
        hidden: Hidden = {}

        def keep(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
            def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
                hidden[name] = pack_bits(self._in_file_order(name, output.numpy()))

            return hook

        signs = [(name, module) for name, module in self.module.named_modules() if isinstance(module, SignModule)]
        hooks = [module.register_forward_hook(keep(name)) for name, module in signs]
        try:
            return self.run(images), hidden
        finally:
            for hook in hooks:
                hook.remove()

    def _in_file_order(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Channels last, also where torch has flattened (C, H, W) and no layer has mixed the features since."""
        if values.ndim == 4:
            return values.transpose(0, 2, 3, 1)
        nodes = {node.name: node for node in self.graph.nodes}
        node = nodes.get(name)
        while (
            node is not None and len(self.graph.values[node.inputs[0]].shape) == 1 and isinstance(node.op, ELEMENTWISE)
        ):
            node = nodes.get(node.inputs[0])
        if node is None or not isinstance(node.op, Flatten):
            return values
        shape = self.graph.values[node.inputs[0]].shape
        return values.reshape(len(values), *shape).transpose(0, 2, 3, 1).reshape(values.shape)


def load(model: bytes, run: Path) -> TorchSession:
    """The best checkpoint of the training ``run`` that ``model`` was exported from.

    Raises:
        UsageError: there is no such run.
        FileFormatError: the run or the model is truncated, corrupt or foreign.
    """
    from bnn_toolchain.training.run import load_run

    return TorchSession(load_run(run).model, onnx.from_bytes(model))
