"""Whether a graph is the module that it was captured from: both run the same images, layer by layer.

The module runs eagerly, its traced program operator by operator, and the lowered graph on the reference interpreter.
Behind every sign the interpreter goes on with torch's bits, so each layer is judged by what torch's own layer read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import frexp, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.fx import Interpreter, Node
from torch.utils import _pytree

from bnn_toolchain.converters import reference
from bnn_toolchain.converters.capture.capture import Captured
from bnn_toolchain.converters.capture.trace import described, error_line, forward_line, lonely_line
from bnn_toolchain.converters.capture.values import Elements
from bnn_toolchain.converters.graph.graph import Graph, sums_reals
from bnn_toolchain.converters.graph.ops import (
    Flatten,
    Kind,
    Sign,
)
from bnn_toolchain.converters.graph.traits import is_elementwise
from bnn_toolchain.converters.probes import probes
from bnn_toolchain.converters.reference.sums import Reals
from bnn_toolchain.converters.rounding import LAST_BITS, OWN_ORDER
from bnn_toolchain.errors import CheckFailed
from bnn_toolchain.input_spec import InputSpec

OWN_IMAGES = 4  # of the user's, besides the probes
PROBED = 1 << 21  # elements of torch's values for the images of noise: small networks get more of them
MOST_NOISE = 16
ALONE = ((0, 1), (1, 2))  # two batches of one image: a module that remembers the image before is found by the second
RECORDED = 1 << 26  # elements of torch's values that are kept at a time


@dataclass(frozen=True)
class Faithfulness:
    """How a graph compares with its module; a graph that failed has none.

    Where all layers sum integers, logits alone may differ, since their batch norm is folded: by ``LAST_BITS``. Where
    torch rounds otherwise than the graph, reals and logits may differ by ``OWN_ORDER``, and bits where torch's value in
    front of the sign is within it.
    """

    images: int
    bits: int  # compared, of all signs and all images together
    bits_near: int  # of these, on the other side of a threshold that torch's value is within the bound of
    logits: float  # largest difference, as a share of the largest logit
    roundings: tuple[str, ...]  # why bits may differ; none if all must be equal
    bound: float  # for the difference of logits, and of values in front of a sign

    def __str__(self) -> str:
        how = f"{self.bits_near} of {self.bits:,} bits differ, logits by {self.logits:.1e} (bound {self.bound:.0e})"
        why = f"; bits may differ within the bound of a threshold, since {self.roundings[0]}" if self.roundings else ""
        return f"the graph answers as the module on {self.images} images: {how}{why}"


def check(captured: Captured, lowered: Graph, own: NDArray[np.uint8] | None = None) -> Faithfulness:
    """Compare ``lowered`` with the module that it was ``captured`` from, on probe images and the first of ``own``.

    ``own`` holds uint8 images [N, H, W, C] of the user's.

    Raises:
        CheckFailed: the module does something else than its trace, or a layer of the graph something else than the
            module's; the message names the first such layer.
    """
    elements = _elements(captured, lowered)
    named = probes(lowered.spec, min(MOST_NOISE, max(1, PROBED // elements)))
    if own is not None:
        named |= {f"test image {i}": image for i, image in enumerate(own[:OWN_IMAGES])}
    names, images = list(named), np.stack(list(named.values()))
    roundings = _roundings(captured, lowered)
    done = [
        _check_batch(captured, lowered, roundings, names[start:end], images[start:end])
        for start, end in [*_batches(elements, len(images)), *ALONE]
    ]
    bits, near, logits = zip(*done, strict=True)
    return Faithfulness(
        len(images), sum(bits), sum(near), max(logits), roundings, OWN_ORDER if roundings else LAST_BITS
    )


def _check_batch(
    captured: Captured, lowered: Graph, roundings: tuple[str, ...], names: list[str], images: NDArray[np.uint8]
) -> tuple[int, int, float]:
    """How many bits were compared, how many of them differ, and the difference of logits, as :class:`Faithfulness`."""
    x = _seen(images, lowered.spec)
    eager = _eager(captured, x)
    traced, recorded = _program(captured, x, _needed(captured, lowered))
    _expect_same(captured, names, x, eager, traced, exact=not roundings)
    bits = near = 0

    def visit(name: str, value: Reals) -> Reals:
        nonlocal bits, near
        kind = lowered.values[name].kind
        if name not in captured.traced or kind not in (Kind.BITS, Kind.REAL):
            return value
        node, elements = captured.traced[name]
        wanted = _in_graph_order(captured.graph, name, elements, recorded[node])
        if wanted is None:
            return value
        if kind is Kind.REAL:
            right = np.abs(value - wanted) <= OWN_ORDER * np.abs(wanted).max()
            _expect(captured, name, names, right, value, wanted)
            return value
        right = value == wanted
        bits, near = bits + value.size, near + int(np.count_nonzero(~right))
        if roundings and (front := _front(node)) is not None:
            before = _in_graph_order(captured.graph, name, elements, recorded[front])
            assert before is not None
            right |= np.abs(before) <= OWN_ORDER * np.abs(before).max()
        _expect(captured, name, names, right, value, wanted)
        return wanted

    logits = reference.follow(lowered, images, visit).reshape(len(images), -1)
    expected: Reals = eager.reshape(logits.shape).numpy()
    return bits, near, _check_logits(captured, names, logits, expected, OWN_ORDER if roundings else LAST_BITS)


def _check_logits(captured: Captured, names: list[str], logits: Reals, wanted: Reals, bound: float) -> float:
    """Logits [N, F] may differ by ``bound``, and the class only where the two best logits do not differ by more."""
    largest = float(np.abs(wanted).max())
    limit = bound * largest
    _expect(captured, captured.graph.output, names, np.abs(logits - wanted) <= limit, logits, wanted)
    chosen = wanted.argmax(1)[:, None]
    lead = logits.max(1, keepdims=True) - np.take_along_axis(logits, chosen, 1)
    _expect(captured, captured.graph.output, names, lead <= 2 * limit, logits, wanted)
    return float(np.abs(logits - wanted).max()) / (largest or 1.0)


def _expect_same(captured: Captured, names: list[str], x: Tensor, eager: Tensor, traced: Tensor, exact: bool) -> None:
    """The module's own answers are those of its trace."""
    module = captured.module
    same = eager.numel() == traced.numel()
    if same:  # squeeze() in a head takes the axis of a single image too: its logits are the same
        rows = eager.reshape(len(names), -1)
        wrong = [name for name, row in zip(names, rows, strict=True) if not torch.all(torch.isfinite(row))]
        if wrong:
            raise CheckFailed(f"{type(module).__name__} answers NaN or infinity on {wrong[0]}: the training diverged")
        limit = 0.0 if exact else OWN_ORDER * float(eager.abs().max())
        same = float((eager.flatten() - traced.flatten()).abs().max()) <= limit
    if not same:
        line = lonely_line(module, tuple(x.shape[1:])) if len(x) == 1 else forward_line(module)
        raise CheckFailed(
            f"{described(type(module).__name__, line)} answers a batch of {len(names)} otherwise than its trace, of "
            "which the graph is made: its answer depends on the number of images, on an earlier call, on random "
            "numbers, or on what no file holds"
        )


def _expect(
    captured: Captured, name: str, images: list[str], right: NDArray[np.bool_], values: Reals, wanted: Reals
) -> None:
    if np.all(right):
        return
    place = tuple(int(i) for i in np.argwhere(~right)[0])
    raise CheckFailed(
        f"the graph made of {type(captured.module).__name__} is another network, first at '{name}': "
        f"{np.count_nonzero(~right):,} of {right.size:,} values differ; on {images[place[0]]}, at {place[1:]}, torch "
        f"has {wanted[place]:.9g} and the graph {values[place]:.9g}: please report this model"
    )


def _in_graph_order(captured: Graph, name: str, elements: Elements, value: Tensor) -> Reals | None:
    """torch's ``value`` [N, …] laid out as the lowered graph has it; None for a view of parts, or sums, of it."""
    shape = captured.values[name].shape
    if value[0].numel() != prod(shape) or (elements.index is not None and elements.index.shape[-1] != 1):
        return None
    flat = value.reshape(len(value), -1)
    if elements.index is not None:
        order = elements.index[0].flatten()
        if len(set(order.tolist())) != len(order):
            return None
        flat = torch.empty_like(flat).index_copy_(1, order, flat)
    if len(shape) == 1 and (flattened := _flattened(captured, name)) is not None:
        return np.asarray(flat.reshape(-1, *flattened).permute(0, 2, 3, 1).reshape(len(flat), -1))
    array = np.asarray(flat.reshape(-1, *shape))
    return array.transpose(0, 2, 3, 1) if len(shape) == 3 else array


def _front(node: Node) -> Node | None:
    """The operator whose value ``node``, if it makes signs, compares with 0."""
    first = node.args[0] if node.args else None
    if not isinstance(first, Node):
        return None
    match str(node.target):
        case "bnnt.sign.default":
            return first
        case target if target.startswith("aten.where."):
            compared = first.args[0]
            return compared if isinstance(compared, Node) else None
        case _:
            return None


def _needed(captured: Captured, lowered: Graph) -> set[Node]:
    nodes = {node for name, (node, _) in captured.traced.items() if name in lowered.values}
    return nodes | {front for node in nodes if (front := _front(node)) is not None}


def _flattened(graph: Graph, name: str) -> tuple[int, ...] | None:
    """The (C, H, W) that the features of ``name`` were flattened from in torch's order, if no layer has mixed them."""
    nodes = {node.name: node for node in graph.nodes}
    node = nodes[name]
    while is_elementwise(node.op) and node.inputs[0] in nodes:
        node = nodes[node.inputs[0]]
    if isinstance(node.op, Flatten) and not node.op.channels_last:
        return graph.values[node.inputs[0]].shape
    return None


def _roundings(captured: Captured, lowered: Graph) -> tuple[str, ...]:
    """Why torch's own bits may differ from exact arithmetic; empty if every layer in front of a sign sums integers."""
    reasons = list(captured.roundings)
    if any(frexp(scale)[0] != 0.5 for scale in lowered.spec.scale):
        reasons.append(f"the input is scaled by {lowered.spec.scale[0]:g}, which is no power of two")
    reasons += [f"{name} sums reals" for name in sums_reals(lowered)]
    reasons += [f"{node.name} reads a real value" for node in lowered.nodes if isinstance(node.op, Sign)]
    return tuple(reasons)


def _elements(captured: Captured, lowered: Graph) -> int:
    """How many elements the values have that are compared, for one image."""
    return 1 + sum(prod(captured.graph.values[name].shape) for name in captured.traced if name in lowered.values)


def _batches(elements: int, images: int) -> Iterator[tuple[int, int]]:
    """First and last image of each batch: as many as memory allows, but several."""
    step = max(2, RECORDED // (2 * elements))
    for start in range(0, images, step):
        yield start, min(images, start + step)


def _seen(images: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """What a module of torch sees of uint8 ``images`` [N, H, W, C]: float32 [N, C, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(spec.normalised(images).transpose(0, 3, 1, 2)))


def _eager(captured: Captured, x: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            leaves = _pytree.tree_leaves(captured.module(x.clone()))
    except Exception as error:  # user code runs here, and torch has no common base for what it raises
        who = described(type(captured.module).__name__, error_line(error) or forward_line(captured.module))
        raise CheckFailed(f"{who} fails on a batch of {len(x)}: {type(error).__name__}: {error}") from error
    return next(leaf for leaf in leaves if isinstance(leaf, Tensor))


def _program(captured: Captured, x: Tensor, wanted: set[Node]) -> tuple[Tensor, dict[Node, Tensor]]:
    """The traced program's answer for ``x``, and what the operators ``wanted`` yield on the way."""
    recorded: dict[Node, Tensor] = {}

    class Recorder(Interpreter):
        def run_node(self, n: Node) -> Any:
            value = captured.constants[n] if n in captured.constants else super().run_node(n)
            if n in wanted:
                recorded[n] = value
            return value

        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            # Tracing sees the strides of an example only: where others come, a view has to copy.
            target = torch.ops.aten.reshape.default if target is torch.ops.aten.view.default else target
            return super().call_function(target, args, kwargs)

    with torch.no_grad():
        placeholders = [node for node in captured.program.graph.nodes if node.op == "placeholder"]
        outputs = Recorder(captured.program.graph_module).run(*[x] * len(placeholders))
    return outputs[captured.outputs[0]], recorded
