"""ATen operators, as torch.export yields them, in the graph's terms."""

from __future__ import annotations

from typing import Any

import torch

from bnn_toolchain.converters.aten_layers import (
    Constant,
    Layers,
    Padded,
    Traced,
)
from bnn_toolchain.converters.build import Builder
from bnn_toolchain.converters.ops import Flatten, GlobalAveragePool, Hardtanh, Relu, Sign
from bnn_toolchain.errors import Unsupported


def translate(
    builder: Builder, path: str, call: str, node: torch.fx.Node, traced: dict[torch.fx.Node, Traced]
) -> Traced:
    """What ``node`` becomes, its operators added to ``builder`` under ``path``.

    Raises:
        Unsupported: the operator has no place in the graph; the message says what to use instead.
    """
    arguments = _arguments(node)
    operands = [traced[value] for value in node.all_input_nodes]
    if all(isinstance(operand, Constant) for operand in operands):
        return _fold(node, traced)
    name = str(node.target)
    if name != "aten.conv2d.default" and any(isinstance(operand, Padded) for operand in operands):
        raise Unsupported(f"padding before {name}: pad before a convolution only")

    def get(key: str) -> Any:
        value = arguments[key]
        return traced[value] if isinstance(value, torch.fx.Node) else value

    layers = Layers(builder, path, call)
    add = layers.add

    match name:
        case "bnnt.sign.default":
            result: Traced = add(Sign(), get(next(iter(arguments))))
        case "aten.pad.default" | "aten.constant_pad_nd.default":
            return layers.pad(get("self"), get("pad"), get("value"), arguments.get("mode", "constant"))
        case "aten.conv2d.default":
            result = layers.conv(get)
        case "aten.linear.default":
            result = layers.linear(get)
        case "aten.batch_norm.default":
            result = layers.batch_norm(get)
        case "aten.max_pool2d.default":
            result = layers.max_pool(get)
        case "aten.relu.default" | "aten.relu_.default":
            result = add(Relu(), get("self"))
        case "aten.hardtanh.default" | "aten.hardtanh_.default" if (get("min_val"), get("max_val")) == (-1, 1):
            result = add(Hardtanh(), get("self"))
        case "aten.clamp.default" | "aten.clamp_.default" if (get("min"), get("max")) == (-1, 1):
            result = add(Hardtanh(), get("self"))
        case "aten.adaptive_avg_pool2d.default" if list(get("output_size")) == [1, 1]:
            result = add(GlobalAveragePool(), get("self"))
        case "aten.mean.dim" if sorted(d % 4 for d in get("dim") or []) == [2, 3]:
            result = add(GlobalAveragePool(), get("self"))
            result = result if get("keepdim") else add(Flatten(channels_last=False), result)
        case "aten.flatten.using_ints" | "aten.view.default" | "aten.reshape.default" | "aten.squeeze.dims":
            result = layers.reshape(get("self"), value_shape(node))
        case (
            "aten.dropout.default"
            | "aten.dropout_.default"
            | "aten.feature_dropout.default"
            | "aten.contiguous.default"
            | "aten.clone.default"
            | "aten.detach.default"
            | "aten.alias.default"
            | "aten.to.dtype"
            | "aten._assert_tensor_metadata.default"
        ):
            result = operands[0]
        case "aten.add.Tensor" | "aten.add_.Tensor" if get("alpha") == 1:
            result = layers.sum(get("self"), get("other"))
        case "aten.mul.Tensor" | "aten.mul_.Tensor":
            result = layers.product(get("self"), get("other"))
        case _:
            raise Unsupported(f"{name} has no place in the graph: {remedy(name)}")
    expected = value_shape(node)
    if isinstance(result, int) and expected and builder.values[result].shape != expected:
        found = builder.values[result].shape
        raise Unsupported(f"{name} yields {expected} where the graph has {found}: use sizes that divide evenly")
    return result


def remedy(name: str) -> str:
    """What to use instead of the ATen operator ``name``."""
    match name.split(".")[1] if "." in name else name:
        case "sign" | "sgn" | "where" | "ge" | "gt":
            return "binarize with bnn_toolchain.layers, whose sign of 0 is +1 and which capture recognises"
        case "sigmoid" | "tanh" | "gelu" | "silu" | "elu" | "leaky_relu" | "prelu" | "hardswish" | "hardsigmoid":
            return "use ReLU, Hardtanh(-1, 1) or a sign"
        case "avg_pool2d" | "adaptive_avg_pool2d" | "mean":
            return "use MaxPool2d, or AdaptiveAvgPool2d(1) for the mean over the image"
        case "hardtanh" | "clamp" | "clamp_" | "hardtanh_" | "relu6":
            return "only the bounds -1 and 1 exist: use Hardtanh()"
        case "layer_norm" | "group_norm" | "instance_norm":
            return "use BatchNorm2d or BatchNorm1d"
        case "softmax" | "log_softmax":
            return "leave it out: the exported model yields logits, and their order is the same"
        case "conv2d":
            return "give the padding as a number of pixels"
        case "conv1d" | "conv3d" | "conv_transpose2d":
            return "use Conv2d or BinaryConv2d"
        case _:
            return (
                "use the layers of bnn_toolchain.layers, Conv2d, Linear, BatchNorm, ReLU, Hardtanh, MaxPool2d, "
                "AdaptiveAvgPool2d(1), Flatten, Dropout and additions"
            )


def value_shape(node: torch.fx.Node) -> tuple[int, ...]:
    """The shape of one image's value; empty for what yields no tensor."""
    value = node.meta.get("val")
    return tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()


def _arguments(node: torch.fx.Node) -> dict[str, Any]:
    """Arguments by name, defaults filled in."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    names = [argument.name for argument in schema.arguments]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return {a.name: given.get(a.name, a.default_value) for a in schema.arguments}


def _fold(node: torch.fx.Node, traced: dict[torch.fx.Node, Traced]) -> Constant:
    """Evaluates what depends on constants alone, and remembers a sign and the scale that multiplies it."""

    def value(argument: Any) -> Any:
        constant = traced[argument]
        assert isinstance(constant, Constant)
        return constant.value

    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), value)
    assert callable(node.target)
    result = node.target(*args, **kwargs)
    operands = [traced[operand] for operand in node.all_input_nodes]
    match str(node.target), operands:
        case "bnnt.sign.default", [Constant(value=latent)]:
            if torch.any(torch.isnan(latent)):
                raise Unsupported("its weights hold NaN: the training diverged")
            return Constant(result, signs=result)
        case "aten.mul.Tensor", [Constant(signs=torch.Tensor() as signs, scale=None), Constant(value=scale)]:
            return Constant(result, signs=signs, scale=scale)
        case "aten.mul.Tensor", [Constant(value=scale), Constant(signs=torch.Tensor() as signs, scale=None)]:
            return Constant(result, signs=signs, scale=scale)
        case _:
            return Constant(result)
