"""ATen operators, as torch.export yields them, in the graph's terms."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from bnn_toolchain.converters.capture import aten_affine
from bnn_toolchain.converters.capture.aten_layers import Get, Layers, array, constant, pair
from bnn_toolchain.converters.capture.aten_moves import MOVES, REPLACEMENTS, moved, replaced
from bnn_toolchain.converters.capture.aten_remedies import remedy
from bnn_toolchain.converters.capture.values import (
    AtLeastZero,
    BatchSize,
    Constant,
    Elements,
    Padded,
    Traced,
    positions,
    summed,
)
from bnn_toolchain.converters.graph.ops import Hardtanh, Kind, MaxPool, PRelu, Relu, Sign
from bnn_toolchain.errors import Unsupported

_LIKE = frozenset({"empty_like", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})
_CHECKS = frozenset({"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range"})


def translate(layers: Layers, node: Node, traced: dict[Node, Traced]) -> Traced:
    """What ``node`` becomes, its operators added through ``layers``.

    Raises:
        Unsupported: the operator has no place in the graph; the message says what to use instead.
    """
    if node.target is operator.getitem:
        several = traced[node.args[0]]  # type: ignore[index]
        return several[node.args[1]] if isinstance(several, tuple) else None  # type: ignore[index]
    if isinstance(node.target, torch._ops.HigherOrderOperator):
        raise Unsupported(f"a region ({node.target}): all images must take one path, with nothing around it")
    if _base(node) in _CHECKS:
        return None
    operands = [traced[value] for value in node.all_input_nodes]
    if not any(isinstance(x, Elements | Padded | AtLeastZero | tuple) for x in operands) or _base(node) in _LIKE:
        return _fold(layers, node, traced)
    if _base(node) == "sym_size":
        return _size(layers, node, traced)
    if _base(node) in MOVES:
        return moved(layers, node, traced)
    if _base(node) in REPLACEMENTS:
        return replaced(layers, node, traced)
    if _base(node) in ("_to_copy", "to", "type_as"):
        return _cast(layers, node, operands[0])
    _expect_float32(node, traced)
    return _operator(layers, node, traced)


def value_shape(node: Node) -> tuple[int, ...]:
    """The shape of one image's value; empty for what yields no tensor, or whose first axis is not the images."""
    value = node.meta.get("val")
    sides = tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()
    return sides if all(isinstance(side, int) for side in sides) else ()


def _operator(layers: Layers, node: Node, traced: dict[Node, Traced]) -> Traced:
    arguments = _arguments(node)
    before = value_shape(node.all_input_nodes[0])

    def get(key: str) -> Any:
        value = arguments[key]
        return traced[value] if isinstance(value, Node) else value

    name = str(node.target).removeprefix("aten.")
    match name:
        case "bnnt.sign.default":
            result: Traced = layers.elementwise(Sign(), get(next(iter(arguments))))
        case "pad.default" | "constant_pad_nd.default":
            return layers.pad(get("self"), get("pad"), get("value"), arguments.get("mode", "constant"))
        case "conv2d.default" | "conv2d.padding":
            result = layers.conv(get)
        case "linear.default":
            result = layers.linear(get("input"), get("weight"), constant(get("bias")))
        case "matmul.default" | "mm.default":
            result = layers.linear(get("self"), _transposed(get("other" if name[1] == "a" else "mat2")), None)
        case "addmm.default" if get("alpha") == 1 and get("beta") == 1:
            bias = constant(get("self"))
            assert bias is not None
            weight = _transposed(get("mat2"))
            result = layers.linear(get("mat1"), weight, bias.expand(weight.value.shape[0]))
        case "batch_norm.default" if not get("training"):
            result = layers.batch_norm(get)
        case "_native_batch_norm_legit.no_stats" | "_native_batch_norm_legit.default" | "batch_norm.default":
            raise Unsupported(
                "a batch norm of the batch's own statistics: leave track_running_stats on, and its evaluation mode"
            )
        case "_native_batch_norm_legit_no_training.default":
            return layers.batch_norm(get), None, None
        case "max_pool2d.default":
            result = layers.max_pool(get)
        case "adaptive_max_pool2d.default" if list(get("output_size")) == [1, 1]:
            return _largest(layers, get("self")), None
        case "relu.default":
            result = layers.elementwise(Relu(), get("self"))
        case "prelu.default" | "_prelu_kernel.default":
            result = _prelu(layers, get("self"), get("weight"))
        case "clamp.default" | "clip.default" | "clamp_min.default" if (get("min"), arguments.get("max")) == (0, None):
            result = layers.elementwise(Relu(), get("self"))
        case "clamp.default" | "clip.default" if (get("min"), get("max")) == (-1, 1):
            result = layers.elementwise(Hardtanh(), get("self"))
        case "hardtanh.default" if (get("min_val"), get("max_val")) == (-1, 1):
            result = layers.elementwise(Hardtanh(), get("self"))
        case "mean.dim" | "sum.dim_IntList":
            return _over(layers, get, "mean" in name, get("dim"), bool(get("keepdim")))
        case "mean.default" | "sum.default":
            return _over(layers, get, "mean" in name, None, keep=False)
        case "adaptive_avg_pool2d.default" if list(get("output_size")) == [1, 1]:
            return _over(layers, get, True, [-2, -1], keep=True)
        case "adaptive_avg_pool1d.default" if list(get("output_size")) == [1]:
            return _over(layers, get, True, [-1], keep=True)
        case "adaptive_avg_pool2d.default" if value_shape(node) == before:
            result = get("self")
        case "avg_pool2d.default" if _windows(get) == (1, 1) and value_shape(node) == before:
            result = get("self")
        case "avg_pool2d.default" if _windows(get) == before[-2:]:
            return _over(layers, get, True, [-2, -1], keep=True)
        case "ge.Scalar" if get("other") == 0 and isinstance(get("self"), Elements):
            return AtLeastZero(get("self"))
        case "where.Scalar" | "where.self" | "where.ScalarSelf" | "where.ScalarOther" if _is_sign(get):
            result = layers.elementwise(Sign(), get("condition").source)
        case _ if name in aten_affine.NAMES:
            result = aten_affine.affine(layers, name, get)
        case _:
            raise Unsupported(_without_place(node))
    expected = value_shape(node)
    if isinstance(result, Elements) and result.index is None:
        shape = layers.builder.value(result.source).shape
        if expected and shape != expected:
            raise Unsupported(
                f"{_base(node)} yields {expected} where the graph has {shape}: use sizes that divide evenly"
            )
    return result


def _over(layers: Layers, get: Get, mean: bool, dims: list[int] | None, keep: bool) -> Elements:
    x = get("self")
    if not isinstance(x, Elements):
        raise Unsupported("padding in front of something else than a convolution: pad before convolutions only")
    rank = positions(layers.builder, x).ndim - 1
    return summed(layers.builder, x, layers.place, dims or list(range(rank)), keep, mean)


def _prelu(layers: Layers, x: Traced, weight: Traced) -> Elements:
    """One slope for all channels, or one for each."""
    source, slope = layers.read(x), constant(weight)
    assert slope is not None
    channels = layers.builder.value(source).shape[0]
    return layers.add(PRelu(np.resize(array(slope), channels)), source)


def _windows(get: Get) -> tuple[int, int] | None:
    """Height and width of an average pooling's windows, if they are plain means inside the image."""
    plain = not any(get("padding")) and get("divisor_override") is None
    return pair(get("kernel_size")) if plain else None


def _largest(layers: Layers, x: Traced) -> Elements:
    source = layers.read(x)
    height, width = layers.builder.value(source).shape[1:]
    return layers.add(MaxPool((height, width), (height, width)), source)


def _is_sign(get: Get) -> bool:
    """Whether a where() yields +1 for at least 0, else -1 (for NaN too): the sign."""
    sides = [x.value if isinstance(x, Constant) else x for x in (get("self"), get("other"))]
    if not isinstance(get("condition"), AtLeastZero) or any(isinstance(side, Elements) for side in sides):
        return False
    return bool(torch.all(torch.as_tensor(sides[0]) == 1) and torch.all(torch.as_tensor(sides[1]) == -1))


def _transposed(weight: Traced) -> Constant:
    if not isinstance(weight, Constant) or weight.value.ndim != 2:
        raise Unsupported("a product of two values of the image: weights must be a matrix of parameters")
    return Constant(weight.value.t())


def _cast(layers: Layers, node: Node, x: Traced) -> Traced:
    """A cast is nothing to do if the new type holds every number that the value can have."""
    dtype = node.meta["val"].dtype
    if isinstance(x, Elements):
        value = layers.builder.value(x.source)
        whole = value.kind in (Kind.BITS, Kind.ACC) and x.factor == 1
        if dtype in (torch.float32, torch.float64):
            return x
        if whole and value.kind is Kind.BITS and (dtype.is_floating_point or dtype.is_signed):
            return x
        if whole and dtype in (torch.int32, torch.int64):
            return x
    raise Unsupported(f"a cast to {str(dtype).removeprefix('torch.')} that changes values: stay in float32")


def _expect_float32(node: Node, traced: dict[Node, Traced]) -> None:
    read = [operand for operand in node.all_input_nodes if isinstance(traced[operand], Elements)]
    for value in (operand.meta.get("val") for operand in (*read, node)):
        if isinstance(value, torch.Tensor) and value.dtype not in (torch.float32, torch.bool):
            kind = str(value.dtype).removeprefix("torch.")
            raise Unsupported(f"{_base(node)} in {kind}: engines compute in float32; cast before it, or not at all")


def _size(layers: Layers, node: Node, traced: dict[Node, Traced]) -> Traced:
    x, axis = traced[node.args[0]], node.args[1]  # type: ignore[index]
    assert isinstance(axis, int)
    if isinstance(x, Elements):
        return BatchSize(positions(layers.builder, x).shape[:-1][axis])
    raise Unsupported("the size of a padded or compared value: take it before")


def _fold(layers: Layers, node: Node, traced: dict[Node, Traced]) -> Traced:
    """Evaluates what depends on parameters and sizes alone."""
    if _is_random(node):
        raise Unsupported(_without_place(node))

    def value(argument: Node) -> Any:
        match traced[argument]:
            case Constant(value=found) | BatchSize(value=found):
                return found
            case Elements() as elements:
                return torch.empty(positions(layers.builder, elements).shape[:-1])
            case _:
                raise Unsupported("it depends on what was refused before")

    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), value)
    assert callable(node.target)
    result = node.target(*args, **kwargs)
    if str(node.target) == "bnnt.sign.default" and bool(torch.isnan(torch.as_tensor(args[0])).any()):
        raise Unsupported("its weights hold NaN: the training diverged")
    match result:
        case torch.Tensor():
            return Constant(result)
        case tuple() | list():
            return tuple(Constant(part) if isinstance(part, torch.Tensor) else None for part in result)
        case int():
            return BatchSize(result)
        case _:
            raise Unsupported("a number that depends on how many images there are")


def _is_random(node: Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _without_place(node: Node) -> str:
    return f"{_base(node)} has no place in the graph: {remedy(_base(node), _is_random(node))}"


def _arguments(node: Node) -> dict[str, Any]:
    """Arguments by name, defaults filled in."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    names = [argument.name for argument in schema.arguments]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return {a.name: given.get(a.name, a.default_value) for a in schema.arguments}


def _base(node: Node) -> str:
    """The operator's name without namespace, overload and what torch adds to it inside."""
    name = str(node.target) if hasattr(node.target, "_schema") else getattr(node.target, "__name__", str(node.target))
    name = name.split(".")[1] if "." in name else name
    return name.removeprefix("native_").removesuffix("_functional")
