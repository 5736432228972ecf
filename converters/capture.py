"""A torch module as a graph: torch.export traces it, and every ATen operator finds its place or is named."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from bnn_toolchain.converters.aten import translate, value_shape
from bnn_toolchain.converters.aten_layers import Constant, Traced
from bnn_toolchain.converters.build import Builder
from bnn_toolchain.converters.graph import Graph
from bnn_toolchain.converters.ops import PixelNormalize
from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.errors import Unsupported

BATCH = 2  # of the example: an operator that mixes images with channels shows in the shapes, and 1 would hide it


@dataclass(frozen=True)
class _Place:
    """Where a traced operator comes from."""

    path: str  # of the torch module, "" for the root
    call: str  # differs between two calls of one module
    source: str  # file:line, "" if torch did not record it


def capture(module: nn.Module, spec: InputSpec) -> Graph:
    """The graph of ``module`` in evaluation mode; ``module`` is neither changed nor moved.

    ``module`` maps normalised float32 images [N, C, H, W] to logits. Binary weights and activations are recognised by
    the operator ``bnnt::sign``.

    Raises:
        Unsupported: torch.export fails, or operators have no place in the graph: all of them in one message, each with
            its module, its source line and what to use instead.
    """
    frozen = copy.deepcopy(module).to("cpu", torch.float32).eval()
    example = torch.zeros(BATCH, spec.channels, spec.height, spec.width)
    try:
        with torch.no_grad():
            program = torch.export.export(frozen, (example,))
    except Exception as error:  # user code runs here, and torch has no common base for what it raises
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise Unsupported(f"torch.export cannot trace {type(module).__name__}: {reason}") from error
    return _translate(program, spec)


def _translate(program: torch.export.ExportedProgram, spec: InputSpec) -> Graph:
    builder = Builder(spec)
    scale, offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)
    image = builder.add("input", "input", PixelNormalize(scale, offset), 0)
    constants = _constants(program)
    traced: dict[torch.fx.Node, Traced] = {}
    refused: list[str] = []
    outputs: list[Traced] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            traced[node] = constants.get(node.name, image)
        elif node.op == "output":
            outputs = [traced[value] if isinstance(value, torch.fx.Node) else None for value in node.args[0]]
        elif node.op == "call_function":
            traced[node] = _call(builder, node, traced, refused)
    if refused:
        raise Unsupported("this model cannot be captured:\n" + "\n".join(f"  - {line}" for line in refused))
    match outputs:
        case [int(number)]:
            return builder.graph(builder.as_real(number))
        case _:
            raise Unsupported(f"the model must return one tensor that depends on the image, not {len(outputs)} values")


def _constants(program: torch.export.ExportedProgram) -> dict[str, Constant]:
    signature = program.graph_signature
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    held = {**program.state_dict, **program.constants}
    return {name: Constant(held[target].detach()) for name, target in targets.items()}


def _call(builder: Builder, node: torch.fx.Node, traced: dict[torch.fx.Node, Traced], refused: list[str]) -> Traced:
    if any(traced[value] is None for value in node.all_input_nodes):
        return None
    place = _place(node)
    try:
        result = translate(builder, place.path or node.name, place.call or node.name, node, traced)
    except Unsupported as error:
        where = f" ({place.source})" if place.source else ""
        refused.append(f"{place.path or 'the model itself'}{where}: {error}")
        shape = value_shape(node)
        return builder.placeholder(place.path, shape) if shape else None
    schema = getattr(node.target, "_schema", None)
    if schema is not None and schema.is_mutable and node.args and isinstance(node.args[0], torch.fx.Node):
        traced[node.args[0]] = result  # relu_ and its like: later readers of the argument see the result
    return result


def _place(node: torch.fx.Node) -> _Place:
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
    call, path = "", ""
    if stack:
        call = list(stack)[-1]
        path = stack[call][0]
    lines = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip()]
    frames = [line for line in lines if line.startswith("File ")]
    own = [line for line in frames if "/torch/nn/" not in line]  # the user's
    source = ""
    if own:
        file, line = own[-1].split(", ")[:2]
        source = f"{file.removeprefix('File ').strip(chr(34))}:{line.removeprefix('line ')}"
    return _Place(path, call if path else "", source)
