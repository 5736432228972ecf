"""A torch module as a graph: its traced program, operator by operator, with the place of each in the user's code."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export.graph_signature import OutputKind
from torch.fx import Node

from bnn_toolchain.converters.capture.aten import translate, value_shape
from bnn_toolchain.converters.capture.aten_layers import Layers
from bnn_toolchain.converters.capture.builder import PIXELS, Builder
from bnn_toolchain.converters.capture.trace import described, forward_line, line_of, refusal, trace
from bnn_toolchain.converters.capture.values import Constant, Elements, Place, Traced, activation
from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.graph.ops import PixelNormalize
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import unwrapped


@dataclass(frozen=True, eq=False)
class Captured:
    """A graph, and how it came from a module."""

    graph: Graph
    module: nn.Module  # a copy on the CPU, in float32 and evaluation mode, that has not run yet
    program: torch.export.ExportedProgram
    traced: dict[str, tuple[Node, Elements]]  # a value of the graph -> the traced operator that yields it, and how
    constants: dict[Node, torch.Tensor]  # what the program computes from parameters alone
    outputs: tuple[int, ...]  # which of the program's outputs are the module's tensors
    roundings: tuple[str, ...]  # why torch's own arithmetic rounds where the graph's does not


def capture(module: nn.Module, spec: InputSpec) -> Captured:
    """The graph of ``module`` in evaluation mode; ``module`` is neither changed nor moved.

    ``module`` maps normalised float32 images [N, C, H, W] to logits. Binary activations are recognised by
    :func:`bnn_toolchain.layers.sign` and by ``torch.where(x >= 0, 1, -1)``, binary weights by their values.

    Raises:
        Unsupported: the module cannot be traced, or operators have no place in the graph: all of them in one message,
            each with its module, the user's line and what to use instead.
    """
    try:
        frozen = copy.deepcopy(unwrapped(module)).to("cpu", torch.float32).eval()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise Unsupported(f"{type(module).__name__} cannot be copied: {reason}: keep parameters alone in it") from error
    program = trace(frozen, spec)
    builder = Builder(spec)
    scale, offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)
    image = Elements(builder.add("input", "input", PixelNormalize(scale, offset), PIXELS), Place("input", "input", ""))
    traced: dict[Node, Traced] = {node: image for node in program.graph.nodes if node.op == "placeholder"}
    traced |= {node: Constant(value) for node, value in _parameters(program).items()}
    translation = _Translation(frozen, builder, traced)
    for node in program.graph.nodes:
        if node.op == "call_function":
            translation.add(node)
    if refused := _changed_buffers(program, frozen) + translation.refused:
        raise refusal(refused)
    outputs = _outputs(program)
    last = _logits(frozen, outputs, traced)
    try:
        graph, names = builder.graph(builder.as_real(activation(builder, last)))
    except Unsupported as error:
        raise Unsupported(
            f"{described('', forward_line(frozen))} returns what the graph cannot yield: {error}"
        ) from error
    followed: dict[str, tuple[Node, Elements]] = {}
    for node, x in traced.items():
        if isinstance(x, Elements) and x.source in names:
            followed.setdefault(names[x.source], (node, x))
    constants: dict[Node, torch.Tensor] = {}
    for node, x in traced.items():
        if isinstance(x, Constant) and all(value in constants for value in node.all_input_nodes):
            constants[node] = x.value
    return Captured(graph, frozen, program, followed, constants, tuple(outputs), tuple(translation.roundings))


def _parameters(program: torch.export.ExportedProgram) -> dict[Node, torch.Tensor]:
    """The parameters, buffers and other constants that ``program`` takes besides the image."""
    signature = program.graph_signature
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    held = {**program.state_dict, **program.constants}
    return {
        node: held[targets[node.name]].detach()
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in targets
    }


def _changed_buffers(program: torch.export.ExportedProgram, module: nn.Module) -> list[str]:
    changed = program.graph_signature.buffers_to_mutate
    return [
        f"{described('', _place(node, module).line)}: it changes its buffer '{changed[node.name]}' whenever it runs, "
        "in evaluation mode too: a file's answers depend on the image alone"
        for node in program.graph.nodes
        if node.name in changed
    ]


@dataclass(frozen=True)
class _Translation:
    """A traced program on its way into a graph, operator by operator."""

    module: nn.Module
    builder: Builder
    traced: dict[Node, Traced]
    roundings: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, node: Node) -> None:
        region = isinstance(node.target, torch._ops.HigherOrderOperator)
        if not region and any(self.traced.get(value) is None for value in node.all_input_nodes):
            self.traced[node] = None  # what it reads was refused
            return
        place = _place(node, self.module)
        named = replace(place, path=place.path or node.name, call=place.call or node.name)
        layers = Layers(self.builder, named, self.roundings)
        try:
            self.traced[node] = translate(layers, node, self.traced)
        except Unsupported as error:
            self.refused.append(f"{described(place.path, place.line)}: {error}")
            self.traced[node] = self._stand_in(node, place)

    def _stand_in(self, node: Node, place: Place) -> Elements | None:
        """What lets those be examined that read the refused ``node``; None if they cannot be."""
        shape, value = value_shape(node), node.meta.get("val")
        if not shape or not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
            return None
        return Elements(self.builder.placeholder(place.path, shape), place)


def _outputs(program: torch.export.ExportedProgram) -> dict[int, Node]:
    """The tensors that the module returns, by their place among the program's outputs."""
    nodes = {node.name: node for node in program.graph.nodes}
    return {
        place: nodes[name]
        for place, spec in enumerate(program.graph_signature.output_specs)
        if spec.kind is OutputKind.USER_OUTPUT and (name := getattr(spec.arg, "name", "")) in nodes
    }


def _logits(module: nn.Module, outputs: dict[int, Node], traced: dict[Node, Traced]) -> Elements:
    """The one tensor that the module returns, alone or in a tuple or dictionary."""
    place = described(type(module).__name__, forward_line(module))
    if len(outputs) != 1:
        raise Unsupported(f"{place} returns {len(outputs)} tensors: let the exported module return the logits alone")
    (node,) = outputs.values()
    match traced[node]:
        case Elements() as logits if node.meta["val"].dtype == torch.float32:
            return logits
        case Elements():
            raise Unsupported(f"{place} returns {node.meta['val'].dtype}: return logits in float32")
        case _:
            raise Unsupported(f"{place} returns a tensor that does not depend on the image: return logits")


def _place(node: Node, module: nn.Module) -> Place:
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
    call, path = "", ""
    if stack:
        call = list(stack)[-1]
        path = stack[call][0]
    return Place(path, call if path else "", line_of(node) or forward_line(module))
