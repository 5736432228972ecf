"""The bodies of the ``bnnt`` operators: ONNX functions made of standard operators, in ONNX's own text form."""

from __future__ import annotations

from functools import cache

from onnx import FunctionProto, parser

DOMAIN = "bnnt"
VERSION = 1
OPSET = 18

_CONV = "in_channels, strides, dilations, pads, pad_value, group"
_CONV_PASSED = """in_channels: int = @in_channels, strides: ints = @strides, dilations: ints = @dilations,
    pads: ints = @pads, pad_value: int = @pad_value, group: int = @group"""
_POOL_PASSED = "kernel_shape: ints = @pool_kernel, strides: ints = @pool_strides, pads: ints = @pool_pads"

# Round is the identity on an integer; it keeps onnxruntime from folding the Mul into a convolution's weights,
# which would round differently. Identity does nothing but let onnxruntime before 1.25 load the file: while it infers
# shapes it takes a Pad whose pads are a Constant for broken until the function's attribute has reached the Constant.
# Never ONNX Sign: its value at 0 is 0.
_BODIES = {
    "PixelInput": """PixelInput <offset> (x) => (y) {
        level = Cast <to: int = 1> (x)
        planes = Transpose <perm: ints = [0, 3, 1, 2]> (level)
        offset_int = Constant <value_int: int = @offset> ()
        offset_float = Cast <to: int = 1> (offset_int)
        y = Sub (planes, offset_float)
    }""",
    "PixelNormalize": """PixelNormalize (x, scale, offset) => (y) {
        level = Cast <to: int = 1> (x)
        centred = Sub (level, offset)
        scaled = Mul (centred, scale)
        y = Transpose <perm: ints = [0, 3, 1, 2]> (scaled)
    }""",
    "Sign": """Sign (x) => (y) {
        zero = Constant <value_float: float = 0.0> ()
        plus = Constant <value_float: float = 1.0> ()
        minus = Constant <value_float: float = -1.0> ()
        reached = GreaterOrEqual (x, zero)
        y = Where (reached, plus, minus)
    }""",
    "ToReal": """ToReal (x) => (y) {
        y = Round (x)
    }""",
    "Unpack": """Unpack <count> (packed) => (signs) {
        last = Constant <value_ints: ints = [-1]> ()
        start = Constant <value_ints: ints = [0]> ()
        one = Constant <value: tensor = uint8[1] {1}> ()
        shifts = Constant <value: tensor = uint8[8] {0, 1, 2, 3, 4, 5, 6, 7}> ()
        bytes = Unsqueeze (packed, last)
        shifted = BitShift <direction: string = "RIGHT"> (bytes, shifts)
        bits = BitwiseAnd (shifted, one)
        outer = Shape <end: int = -1> (packed)
        shape = Concat <axis: int = 0> (outer, last)
        row = Reshape (bits, shape)
        count_scalar = Constant <value_int: int = @count> ()
        count_vector = Reshape (count_scalar, last)
        used = Slice (row, start, count_vector, last)
        float_bits = Cast <to: int = 1> (used)
        two = Constant <value_float: float = 2.0> ()
        plus = Constant <value_float: float = 1.0> ()
        doubled = Mul (float_bits, two)
        signs = Sub (plus, doubled)
    }""",
    "BinaryConv2d": f"""BinaryConv2d <{_CONV}> (x, weight) => (y) {{
        signs = bnnt.Unpack <count: int = @in_channels> (weight)
        kernel = Transpose <perm: ints = [0, 3, 1, 2]> (signs)
        given = Constant <value_ints: ints = @pads> ()
        amounts = Identity (given)
        value_int = Constant <value_int: int = @pad_value> ()
        value = Cast <to: int = 1> (value_int)
        axes = Constant <value_ints: ints = [2, 3]> ()
        padded = Pad (x, amounts, value, axes)
        y = Conv <strides: ints = @strides, dilations: ints = @dilations, group: int = @group> (padded, kernel)
    }}""",
    "BinaryDense": """BinaryDense <in_features> (x, weight) => (y) {
        signs = bnnt.Unpack <count: int = @in_features> (weight)
        y = Gemm <transB: int = 1> (x, signs)
    }""",
    "Flatten": """Flatten (x) => (y) {
        channels_last = Transpose <perm: ints = [0, 2, 3, 1]> (x)
        y = Flatten <axis: int = 1> (channels_last)
    }""",
    "Threshold": """Threshold (x, tau, flip) => (y) {
        plus = Constant <value_float: float = 1.0> ()
        minus = Constant <value_float: float = -1.0> ()
        tau_float = Cast <to: int = 1> (tau)
        reached = GreaterOrEqual (x, tau_float)
        positive = Xor (reached, flip)
        y = Where (positive, plus, minus)
    }""",
    "Affine": """Affine (x, scale, offset) => (y) {
        integer = Round (x)
        scaled = Mul (integer, scale)
        y = Add (scaled, offset)
    }""",
    "AffineReal": """AffineReal (x, scale, offset) => (y) {
        scaled = Mul (x, scale)
        y = Add (scaled, offset)
    }""",
    "BinaryConv2dThreshold": f"""BinaryConv2dThreshold <{_CONV}> (x, weight, tau, flip) => (y) {{
        acc = bnnt.BinaryConv2d <{_CONV_PASSED}> (x, weight)
        y = bnnt.Threshold (acc, tau, flip)
    }}""",
    "BinaryConv2dMaxPoolThreshold": f"""BinaryConv2dMaxPoolThreshold
    <{_CONV}, pool_kernel, pool_strides, pool_pads> (x, weight, tau, flip) => (y) {{
        acc = bnnt.BinaryConv2d <{_CONV_PASSED}> (x, weight)
        largest = MaxPool <{_POOL_PASSED}> (acc)
        y = bnnt.Threshold (largest, tau, flip)
    }}""",
    "BinaryDenseThreshold": """BinaryDenseThreshold <in_features> (x, weight, tau, flip) => (y) {
        acc = bnnt.BinaryDense <in_features: int = @in_features> (x, weight)
        y = bnnt.Threshold (acc, tau, flip)
    }""",
}


@cache
def _function(name: str) -> FunctionProto:
    header = f'<opset_import: ["": {OPSET}, "{DOMAIN}": {VERSION}], domain: "{DOMAIN}">'
    return parser.parse_function(f"{header}\n{_BODIES[name]}")


def functions(used: set[str]) -> list[FunctionProto]:
    """The functions named in ``used`` and those that they call, in a fixed order."""
    pending, needed = list(used), set[str]()
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += [node.op_type for node in _function(name).node if node.domain == DOMAIN]
    return [_function(name) for name in _BODIES if name in needed]


def former(function: FunctionProto) -> FunctionProto:
    """``function`` in the words of files from before bnnt cared for old runtimes: Pad without the Identity."""
    before = FunctionProto()
    before.CopyFrom(function)
    for index, node in enumerate(before.node):
        if node.op_type == "Identity":
            before.node[index - 1].output[0] = node.output[0]
            del before.node[index]
            break
    return before
