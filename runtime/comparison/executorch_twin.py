"""A float twin as an ExecuTorch program in int8, on XNNPACK: what ExecuTorch itself recommends for a CPU.

Runs in the environment of ``make bench``, not in bnnt's: it imports what is installed there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

PIXELS = ("Cast", "Sub", "Mul", "Transpose")  # what the twin does to pixels first


class Twin(torch.nn.Module):
    """The operators of `checks/twins.py` behind normalised pixels, float32 [1, C, H, W]."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.nodes = [node for node in model.graph.node if node.op_type not in PIXELS]
        self.places = {tensor.name: f"tensor_{index}" for index, tensor in enumerate(model.graph.initializer)}
        for tensor in model.graph.initializer:
            self.register_buffer(self.places[tensor.name], torch.from_numpy(numpy_helper.to_array(tensor).copy()))

    def forward(self, x: Tensor) -> Tensor:
        values = {self.nodes[0].input[0]: x}
        for node in self.nodes:
            inputs = [values[name] if name in values else getattr(self, self.places[name]) for name in node.input]
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            values[node.output[0]] = _run(node.op_type, inputs, attributes)
        return values[self.nodes[-1].output[0]]


def _run(op: str, inputs: list[Tensor], attributes: dict[str, Any]) -> Tensor:
    x = inputs[0]
    match op:
        case "Conv":
            top, left, bottom, right = attributes["pads"]
            if (top, left) != (bottom, right):
                x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
            shape = attributes["strides"], (top, left), attributes["dilations"], attributes["group"]
            return functional.conv2d(x, inputs[1], inputs[2], *shape)
        case "Gemm":
            return functional.linear(x, inputs[1], inputs[2])
        case "MaxPool":
            top, left, bottom, right = attributes["pads"]
            if (top, left) != (bottom, right):
                x, top, left = functional.pad(x, (left, right, top, bottom), value=float("-inf")), 0, 0
            return functional.max_pool2d(x, attributes["kernel_shape"], attributes["strides"], (top, left))
        case "Relu":
            return functional.relu(x)
        case "Add":
            return x + inputs[1]
        case "Flatten":
            return x.flatten(1)
        case "GlobalAveragePool":
            return x.mean((2, 3), keepdim=True)
        case _:
            raise ValueError(f"a float twin has no {op}: checks/twins.py writes one that is unknown here")


def program(path: Path, inputs: tuple[Tensor]) -> bytes:
    """The .pte of the float twin at ``path``, with activations and weights of 8 bits, calibrated on ``inputs``."""
    twin = Twin(onnx.load(path)).eval()
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(twin, inputs).module(), quantizer)
    prepared(*inputs)
    exported = torch.export.export(convert_pt2e(prepared), inputs)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    data: bytes = lowered.to_executorch().buffer
    return data
