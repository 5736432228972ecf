"""The parts of TensorFlow Lite's schema (version 3) that models here use: fields of each table in slot order.

A type is a number (``u8``, ``i8``, ``i32``, ``u32``, ``i64``, ``u64``, ``f32``), ``bool``, ``str``, a table, or a
vector of those in brackets; ``u8@16`` starts at a multiple of 16 bytes. ``=`` gives a default other than 0; ``_`` is
a field that no reader here needs.
"""

from __future__ import annotations

from dataclasses import dataclass

IDENTIFIER = b"TFL3"
VERSION = 3


@dataclass(frozen=True)
class Field:
    """One field of a table; its slot is its position."""

    name: str
    type: str
    default: int = 0


def _fields(text: str) -> tuple[Field, ...]:
    fields = []
    for word in text.split():
        name, _, rest = word.partition(":")
        kind, _, default = rest.partition("=")
        fields.append(Field(name, kind, int(default or 0)))
    return tuple(fields)


TABLES: dict[str, tuple[Field, ...]] = {
    name: _fields(text)
    for name, text in {
        "Model": "version:u32 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:str buffers:[Buffer] "
        "_ metadata:[Metadata] signature_defs:[SignatureDef]",
        "OperatorCode": "deprecated_builtin_code:i8 custom_code:str version:i32=1 builtin_code:i32",
        "SubGraph": "tensors:[Tensor] inputs:[i32] outputs:[i32] operators:[Operator] name:str",
        "Tensor": "shape:[i32] type:i8 buffer:u32 name:str quantization:QuantizationParameters is_variable:bool "
        "sparsity:SparsityParameters",
        "SparsityParameters": "",
        "QuantizationParameters": "_ _ scale:[f32] zero_point:[i64] details_type:u8",
        "Buffer": "data:[u8@16] offset:u64",
        "Operator": "opcode_index:u32 inputs:[i32] outputs:[i32] builtin_options_type:u8 builtin_options:union "
        "custom_options:[u8] custom_options_format:i8",
        "Metadata": "name:str buffer:u32",
        "SignatureDef": "inputs:[TensorMap] outputs:[TensorMap] signature_key:str",
        "TensorMap": "name:str tensor_index:u32",
        "Conv2DOptions": "padding:i8 stride_w:i32 stride_h:i32 fused_activation_function:i8 dilation_w_factor:i32=1 "
        "dilation_h_factor:i32=1",
        "DepthwiseConv2DOptions": "padding:i8 stride_w:i32 stride_h:i32 depth_multiplier:i32 "
        "fused_activation_function:i8 dilation_w_factor:i32=1 dilation_h_factor:i32=1",
        "Pool2DOptions": "padding:i8 stride_w:i32 stride_h:i32 filter_width:i32 filter_height:i32 "
        "fused_activation_function:i8",
        "FullyConnectedOptions": "fused_activation_function:i8 weights_format:i8 keep_num_dims:bool",
        "AddOptions": "fused_activation_function:i8",
        "SubOptions": "fused_activation_function:i8",
        "MulOptions": "fused_activation_function:i8",
        "ConcatenationOptions": "axis:i32 fused_activation_function:i8",
        "SoftmaxOptions": "beta:f32",
        "SplitOptions": "num_splits:i32",
        "ReducerOptions": "keep_dims:bool",
    }.items()
}
"""Every table by name."""

OPTIONS: dict[str, str] = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "MEAN": "ReducerOptions",
}
"""The options table of each builtin operator that has one and that we read or write."""
