"""The typed graph: the narrow waist between every front end and every back end.

A graph is a DAG of single-output nodes in topological order; a node's output value carries the node's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from math import prod

import numpy as np

from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import BinaryConv2d, BinaryDense, Conv, Gemm, GlobalAveragePool, Kind, Op, Value
from bnn_toolchain.converters.graph.real_ops import AveragePool
from bnn_toolchain.converters.graph.size import ALL_ELEMENTS, check_elements
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec

INPUT = "pixels"
"""The name of every graph's input value: uint8 images, NHWC."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operator; ``name`` leads back to the torch module and is also the name of the value it yields."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole model.

    Raises (on construction):
        Unsupported: a name used twice, an input that no earlier node yields, a value of the wrong kind or shape, or
            more of them than :mod:`bnn_toolchain.converters.graph.size` allows.
    """

    spec: InputSpec
    nodes: tuple[Node, ...]
    decided_by: str = ""  # which torch decided the thresholds, e.g. "torch 2.13.0+cpu"

    def __post_init__(self) -> None:
        if not self.nodes:
            raise Unsupported("the graph has no operators")
        if self.values[self.output].kind is not Kind.REAL:
            raise Unsupported(
                f"the model's output '{self.output}' must be real, not {self.values[self.output].kind.value}"
            )

    @property
    def output(self) -> str:
        """The name of the value that the model yields: the last node's."""
        return self.nodes[-1].name

    @cached_property
    def values(self) -> dict[str, Value]:
        """Every value by name, the input first."""
        values = {INPUT: Value(INPUT, Kind.PIXELS, self.spec.shape)}
        check_elements(INPUT, self.spec.shape)
        elements = prod(self.spec.shape)
        for node in self.nodes:
            if node.name in values:
                raise Unsupported(f"two values are called '{node.name}'")
            missing = [name for name in node.inputs if name not in values]
            if missing or not node.inputs:
                raise Unsupported(f"{node.name}: its input {missing} is not an earlier value")
            value = values[node.name] = infer(node.name, node.op, tuple(values[name] for name in node.inputs))
            elements += prod(value.shape)
            if elements > ALL_ELEMENTS:
                raise Unsupported(
                    f"{node.name}: with it the values of one image have {elements} elements, the limit is "
                    f"{ALL_ELEMENTS}: give smaller images"
                )
        return values

    @cached_property
    def uses(self) -> Counter[str]:
        """How many nodes read each value; the model's output counts one more."""
        counts = Counter(name for node in self.nodes for name in node.inputs)
        counts[self.output] += 1
        return counts

    def hidden_bits(self) -> tuple[str, ...]:
        """Names of all binary activations, in topological order."""
        return tuple(node.name for node in self.nodes if self.values[node.name].kind is Kind.BITS)

    def replace(self, nodes: Iterable[Node]) -> Graph:
        """The same model with other nodes."""
        return Graph(self.spec, tuple(nodes), self.decided_by)


def live(nodes: Iterable[Node], output: str) -> tuple[Node, ...]:
    """The nodes that ``output`` depends on, in order."""
    needed, kept = {output}, []
    for node in reversed(list(nodes)):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def sums_reals(graph: Graph) -> tuple[str, ...]:
    """The nodes that add up reals, so that their results depend on the order of the sum."""
    return tuple(
        node.name
        for node in graph.nodes
        if isinstance(node.op, Conv | Gemm | GlobalAveragePool | AveragePool)
        or (isinstance(node.op, BinaryConv2d | BinaryDense) and graph.values[node.inputs[0]].kind is Kind.REAL)
    )


def same_graph(a: Graph, b: Graph) -> bool:
    """Whether two graphs are equal to the last bit: input, nodes, names, attributes and weights."""
    return a.spec == b.spec and a.decided_by == b.decided_by and _same(a.nodes, b.nodes)


def _same(a: object, b: object) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a) and not isinstance(a, type):
        return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def bits_in_front(graph: Graph) -> dict[str, frozenset[str]]:
    """For each value, the binary activations that it depends on."""
    behind: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        bits = frozenset(name for name in node.inputs if name in behind and graph.values[name].kind is Kind.BITS)
        behind[node.name] = bits.union(*(behind.get(name, frozenset()) for name in node.inputs))
    return behind
