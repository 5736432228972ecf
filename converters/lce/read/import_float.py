"""Float operators of TensorFlow Lite."""

from __future__ import annotations

from math import prod

import numpy as np

from bnn_toolchain.converters.graph.ops import (
    Add,
    Affine,
    Conv,
    Flatten,
    Gemm,
    GlobalAveragePool,
    Kind,
    MaxPool,
    Value,
)
from bnn_toolchain.converters.graph.real_ops import AveragePool, Concat, Multiply, Pad, Slice
from bnn_toolchain.converters.lce.format.container import Operator
from bnn_toolchain.converters.lce.format.geometry import VALID
from bnn_toolchain.converters.lce.read.scope import WORD, Scope
from bnn_toolchain.errors import FileFormatError, Unsupported


def conv(scope: Scope, operator: Operator, depthwise: bool) -> None:
    x = scope.values[scope.real(operator, 0)]
    weight = scope.constant(operator, 1, np.float32, 4)
    if depthwise:
        weight = weight.transpose(3, 1, 2, 0)
    if len(x.shape) != 3 or not weight.shape[3] or x.shape[0] % weight.shape[3] or (depthwise and weight.shape[3] != 1):
        raise FileFormatError(f"{scope.where}: weights {list(weight.shape)} for {x.shape[0]} channels")
    strides = scope.pair(operator.options, "stride_h", "stride_w")
    dilations = scope.pair(operator.options, "dilation_h_factor", "dilation_w_factor")
    pads = scope.pads(operator.options, x, weight.shape[1:3], strides, dilations)
    bias = scope.bias(operator, len(weight))
    weight = np.ascontiguousarray(weight.transpose(0, 3, 1, 2), np.float32)
    op = Conv(weight, bias, strides, dilations, pads, x.shape[0] // weight.shape[1])
    scope.activated(operator, op, x.name)


def dense(scope: Scope, operator: Operator) -> None:
    weight = np.ascontiguousarray(scope.constant(operator, 1, np.float32, 2), np.float32)
    if operator.options["weights_format"]:
        raise Unsupported(f"{scope.where}: its weights are shuffled")
    scope.activated(operator, Gemm(weight, scope.bias(operator, len(weight))), flat(scope, operator))


def max_pool(scope: Scope, operator: Operator, strides: tuple[str, str]) -> None:
    x = scope.value(operator, 0)
    kernel = scope.pair(operator.options, "filter_height", "filter_width")
    step = scope.pair(operator.options, *strides)
    pool = MaxPool(kernel, step, scope.pads(operator.options, x, kernel, step))
    scope.activated(operator, pool, x.name)


def average_pool(scope: Scope, operator: Operator) -> None:
    x = scope.values[scope.real(operator, 0)]
    kernel = scope.pair(operator.options, "filter_height", "filter_width")
    strides = scope.pair(operator.options, "stride_h", "stride_w")
    if kernel == x.shape[1:] and operator.options["padding"] == VALID:
        scope.activated(operator, GlobalAveragePool(), x.name)
    else:
        pads = scope.pads(operator.options, x, kernel, strides)
        scope.activated(operator, AveragePool(kernel, strides, pads), x.name)


def mean(scope: Scope, operator: Operator) -> None:
    x = scope.values[scope.real(operator, 0)]
    axes = sorted(int(a) % 4 for a in scope.constant(operator, 1, np.int32, None).reshape(-1)[:4])
    if axes != [1, 2] or len(x.shape) != 3:
        raise Unsupported(f"{scope.where}: a mean over the axes {axes}; only that over an image is read")
    out = operator.outputs[0]
    if operator.options["keep_dims"]:
        scope.add(out, GlobalAveragePool(), x.name)
    else:
        scope.add(out, Flatten(), scope.helper(out, "mean", GlobalAveragePool(), x.name))


def arithmetic(scope: Scope, operator: Operator) -> None:
    code, constants = operator.code, [i for i in operator.inputs if i >= 0 and scope.tensors[i].data is not None]
    if len(operator.inputs) != 2 or len(constants) > 1 or (code == "SUB" and operator.inputs[0] in constants):
        raise Unsupported(f"{scope.where}: it reads {len(operator.inputs)} tensors, {len(constants)} of them constants")
    if constants:
        place = operator.inputs.index(constants[0])
        x = scope.values[scope.real(operator, 1 - place)]
        values = scope.per_channel(operator, place, x.shape[0])
        ones, zeros = np.ones_like(values), np.zeros_like(values)
        if code == "MUL":
            scope.activated(operator, Affine(values, zeros), x.name)
        else:
            shift(scope, operator, Affine(ones, -values if code == "SUB" else values), x, operator.inputs[1 - place])
        return
    first, second = scope.real(operator, 0), scope.real(operator, 1)
    if code == "MUL" and len(scope.values[first].shape) < len(scope.values[second].shape):
        first, second = second, first
    if code == "SUB":
        raise Unsupported(f"{scope.where}: only constants are subtracted")
    scope.activated(operator, Multiply() if code == "MUL" else Add(), first, second)


def shift(scope: Scope, operator: Operator, op: Affine, x: Value, index: int) -> None:
    """An addition; behind a multiplication that nothing else reads, the two are one Affine."""
    last = scope.nodes[-1]
    alone = scope.readers[index] == 1 and index not in scope.outputs
    if last.name == x.name and isinstance(last.op, Affine) and not last.op.offset.any() and alone:
        scope.nodes.pop()
        op, x = Affine(last.op.scale, op.offset), scope.values[last.inputs[0]]
    scope.activated(operator, op, x.name)


def concatenation(scope: Scope, operator: Operator) -> None:
    names = [scope.real(operator, i) for i in range(len(operator.inputs))]
    rank = len(scope.tensors[operator.outputs[0]].shape)
    if operator.options["axis"] not in (-1, rank - 1):
        raise Unsupported(f"{scope.where}: along the axis {operator.options['axis']}; only channels are joined")
    scope.activated(operator, Concat(), *names)


def split(scope: Scope, operator: Operator) -> None:
    axis, x = scope.constant(operator, 0, np.int32, None), scope.values[scope.real(operator, 1)]
    parts = len(operator.outputs)
    if axis.size != 1 or int(axis.flat[0]) not in (-1, len(x.shape)) or x.shape[0] % parts:
        raise Unsupported(f"{scope.where}: only channels are split, evenly")
    size = x.shape[0] // parts
    for part, out in enumerate(operator.outputs):
        scope.add(out, Slice(part * size, (part + 1) * size), x.name)


def pad(scope: Scope, operator: Operator) -> None:
    x = scope.values[scope.real(operator, 0)]
    amounts = scope.constant(operator, 1, np.int32, 2)
    if amounts.shape != (4, 2) or amounts[0].any() or amounts.min() < 0 or len(x.shape) != 3:
        raise Unsupported(f"{scope.where}: it pads by {amounts.tolist()}")
    value = scope.constant(operator, 2, np.float32, None) if len(operator.inputs) > 2 else np.zeros(1, np.float32)
    if value.size != 1:
        raise FileFormatError(f"{scope.where}: it pads with {value.size} values")
    _, (top, bottom), (left, right), (before, after) = amounts.tolist()
    scope.add(operator.outputs[0], Pad((top, left, bottom, right), (before, after), float(value.flat[0])), x.name)


def reshape(scope: Scope, operator: Operator) -> None:
    x, out = scope.value(operator, 0), operator.outputs[0]
    shape, features = scope.tensors[out].shape, prod(x.shape)
    packed = x.kind is Kind.BITS
    if packed and x.shape[0] % WORD and features != x.shape[0]:
        raise Unsupported(f"{scope.where}: {x.shape[0]} channels of bits that do not fill their words")
    last = -(-features // WORD) if packed else features
    if shape[-1:] != (last,) or prod(shape) != last:
        raise Unsupported(f"{scope.where}: to {list(shape)}; only flattening is read")
    if len(x.shape) == 1:
        scope.at[out] = x.name
    else:
        scope.add(out, Flatten(), x.name)


def flat(scope: Scope, operator: Operator) -> str:
    name = scope.real(operator, 0)
    if len(scope.values[name].shape) == 1:
        return name
    return scope.helper(operator.outputs[0], "flat", Flatten(), name)
