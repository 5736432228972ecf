"""A graph under construction: values get their kinds at once, and real operators get real inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bnn_toolchain.converters.graph.graph import INPUT, Graph, Node
from bnn_toolchain.converters.graph.infer import infer
from bnn_toolchain.converters.graph.ops import (
    BinaryConv2d,
    BinaryDense,
    Flatten,
    Kind,
    MaxPool,
    Op,
    PixelInput,
    PixelNormalize,
    ToReal,
    Value,
)
from bnn_toolchain.input_spec import InputSpec


@dataclass(frozen=True)
class Activation:
    """A value of the graph under construction; no number of the user's can be mistaken for it."""

    number: int


PIXELS = Activation(0)
"""The input image."""


@dataclass
class Builder:
    """Collects nodes; names are given at the end, when it is known which value a module yields."""

    spec: InputSpec
    values: list[Value] = field(default_factory=list)
    nodes: list[tuple[str, str, Op, tuple[Activation, ...]]] = field(default_factory=list)  # path, call, op, inputs
    real: dict[Activation, Activation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values.append(Value(INPUT, Kind.PIXELS, self.spec.shape))

    def value(self, activation: Activation) -> Value:
        """Kind, shape and bound of ``activation``."""
        return self.values[activation.number]

    def add(self, path: str, call: str, op: Op, *inputs: Activation) -> Activation:
        """What ``op`` yields; ``call`` tells the calls of one module apart.

        Raises:
            Unsupported: wrong kind or shape, or an accumulator that a float32 cannot hold.
        """
        if not isinstance(op, BinaryConv2d | BinaryDense | MaxPool | Flatten | ToReal | PixelInput | PixelNormalize):
            inputs = tuple(self.as_real(x) for x in inputs)
        return self._append(path, call, op, inputs, infer(path, op, tuple(self.value(x) for x in inputs)))

    def as_real(self, x: Activation) -> Activation:
        """The same value as a real."""
        if self.value(x).kind is Kind.REAL:
            return x
        if x not in self.real:
            path, call, _, _ = self.nodes[x.number - 1]
            self.real[x] = self.add(path, f"{call}.real", ToReal(), x)
        return self.real[x]

    def placeholder(self, path: str, shape: tuple[int, ...]) -> Activation:
        """Stands for what was refused, so that what follows is examined too; no graph can be made any more."""
        return self._append(path, path, ToReal(), (), Value(path, Kind.REAL, shape))

    def graph(self, output: Activation) -> tuple[Graph, dict[Activation, str]]:
        """The graph that yields ``output``, what it does not need left out, and the name of each value in it."""
        needed = {output}
        for number in range(output.number, 0, -1):
            if Activation(number) in needed:
                needed.update(self.nodes[number - 1][3])
        kept = sorted(x.number for x in needed if x != PIXELS)
        last = {self.nodes[number - 1][1]: number for number in kept}
        names, taken = {PIXELS: INPUT}, Counter([INPUT])
        nodes = []
        for number in kept:
            path, call, op, inputs = self.nodes[number - 1]
            wanted = path if last[call] == number else f"{path}.{type(op).__name__.lower()}"
            if isinstance(op, ToReal):
                wanted = f"{names[inputs[0]]}.real"
            taken[wanted] += 1
            while taken[wanted] > 1:  # a module that is called twice
                wanted = f"{wanted}.{taken[wanted]}"
                taken[wanted] += 1
            names[Activation(number)] = wanted
            nodes.append(Node(wanted, op, tuple(names[x] for x in inputs)))
        return Graph(self.spec, tuple(nodes)), names

    def _append(self, path: str, call: str, op: Op, inputs: tuple[Activation, ...], value: Value) -> Activation:
        self.values.append(value)
        self.nodes.append((path, call, op, inputs))
        return Activation(len(self.values) - 1)
