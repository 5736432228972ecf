"""A graph under construction: values get their kinds at once, and real operators get real inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bnn_toolchain.converters.graph import INPUT, Graph, Node
from bnn_toolchain.converters.infer import infer
from bnn_toolchain.converters.ops import (
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
from bnn_toolchain.data.input import InputSpec


@dataclass
class Builder:
    """Collects nodes under numbers; names are given at the end, when it is known which value a module yields."""

    spec: InputSpec
    values: list[Value] = field(default_factory=list)
    nodes: list[tuple[str, str, Op, tuple[int, ...]]] = field(default_factory=list)  # path, call, operator, inputs
    real: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values.append(Value(INPUT, Kind.PIXELS, self.spec.shape))

    def add(self, path: str, call: str, op: Op, *inputs: int) -> int:
        """The number of the value that ``op`` yields; ``call`` tells the calls of one module apart.

        Raises:
            Unsupported: wrong kind or shape, or an accumulator that a float32 cannot hold.
        """
        if not isinstance(op, BinaryConv2d | BinaryDense | MaxPool | Flatten | ToReal | PixelInput | PixelNormalize):
            inputs = tuple(self.as_real(number) for number in inputs)
        value = infer(path, op, tuple(self.values[number] for number in inputs))
        self.values.append(value)
        self.nodes.append((path, call, op, inputs))
        return len(self.values) - 1

    def as_real(self, number: int) -> int:
        """The same value as a real."""
        if self.values[number].kind is Kind.REAL:
            return number
        if number not in self.real:
            path, call, _, _ = self.nodes[number - 1]
            self.real[number] = self.add(path, f"{call}.real", ToReal(), number)
        return self.real[number]

    def placeholder(self, path: str, shape: tuple[int, ...]) -> int:
        """Stands for what was refused, so that what follows is examined too; no graph can be made any more."""
        self.values.append(Value(path, Kind.REAL, shape))
        self.nodes.append((path, path, ToReal(), ()))
        return len(self.values) - 1

    def graph(self, output: int) -> Graph:
        """The graph that yields ``output``; what it does not need is left out."""
        needed = {output}
        for number in range(output, 0, -1):
            if number in needed:
                needed.update(self.nodes[number - 1][3])
        kept = sorted(needed - {0})
        last = {self.nodes[number - 1][1]: number for number in kept}
        names, taken = {0: INPUT}, Counter([INPUT])
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
            names[number] = wanted
            nodes.append(Node(wanted, op, tuple(names[number] for number in inputs)))
        return Graph(self.spec, tuple(nodes))
