"""Files in the form of LCE's own converter, made by hand: float input, no description, LCE's multipliers and biases."""

import numpy as np

from bnn_toolchain.converters.graph.ops import pack_bits
from bnn_toolchain.converters.lce.format.container import Container, Operator, Tensor, encode
from bnn_toolchain.converters.lce.format.geometry import same_pads
from bnn_toolchain.converters.lce.write.emitter import words


class File:
    """Tensors and operators, one after the other."""

    def __init__(self, *shape, kind="FLOAT32"):
        self.tensors = [Tensor("serving_default_input_1:0", kind, shape)]
        self.operators = []

    def constant(self, array):
        kind = "INT32" if array.dtype == np.int32 else "FLOAT32"
        self.tensors.append(Tensor(f"arith.constant{len(self.tensors)}", kind, array.shape, array))
        return len(self.tensors) - 1

    def op(self, code, inputs, *shape, kind="FLOAT32", **options):
        self.tensors.append(Tensor(f"model/{code}_{len(self.tensors)};model/x", kind, shape))
        self.operators.append(Operator(code, tuple(inputs), (len(self.tensors) - 1,), options))
        return len(self.tensors) - 1

    def shape(self, index):
        return self.tensors[index].shape

    def quantize(self, x):
        *sides, channels = self.shape(x)
        return self.op("LceQuantize", [x], *sides, -(-channels // 32), kind="INT32")

    def bconv(self, rng, x, channels, outputs, kernel, stride, padding, pad_values, activation=0, bits=False, group=1):
        """``padding`` is 0 for SAME; weights, multipliers and biases are random."""
        _, height, width, _ = self.shape(x)
        weight = words(pack_bits(rng.choice([-1, 1], (outputs, kernel, kernel, channels // group))))
        pads = same_pads((channels, height, width), (kernel,) * 2, (stride,) * 2) if padding == 0 else (0,) * 4
        size = [(side + pads[i] + pads[i + 2] - kernel) // stride + 1 for i, side in enumerate((height, width))]
        options = {"channels_in": channels, "padding": padding, "pad_values": pad_values}
        options |= dict.fromkeys(("dilation_height_factor", "dilation_width_factor"), 1)
        options |= {"stride_height": stride, "stride_width": stride, "fused_activation_function": activation}
        inputs = [x, self.constant(weight)]
        taps = kernel * kernel * channels // group
        if bits:
            limit = (rng.normal(taps / 2, np.sqrt(taps) / 2, outputs)).astype(np.int32)
            limit[rng.random(outputs) < 0.1] = rng.choice([-(2**31), 2**31 - 1])
            inputs += [-1, -1, self.constant(limit)]
            return self.op("LceBconv2d", inputs, 1, *size, -(-outputs // 32), kind="INT32", **options)
        multiplier = rng.normal(size=outputs).astype(np.float32)
        bias = (rng.normal(size=outputs) * 5).astype(np.float32)
        inputs += [self.constant(multiplier), self.constant(bias), -1]
        return self.op("LceBconv2d", inputs, 1, *size, outputs, **options)

    def container(self):
        outputs = (len(self.tensors) - 1,)
        metadata = {"min_runtime_version": b"1.6.0".ljust(16, b"\0")}
        return Container(tuple(self.tensors), tuple(self.operators), (0,), outputs, metadata)

    def data(self):
        return encode(self.container())


def network(rng):
    """One of every construction that LCE's converter makes of a small network, ending in a softmax."""
    file = File(1, 6, 5, 3)
    weight = file.constant(rng.normal(size=(40, 3, 3, 3)).astype(np.float32))
    bias = file.constant(rng.normal(size=40).astype(np.float32))
    windows = {"stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
    x = file.op("CONV_2D", [0, weight, bias], 1, 6, 5, 40, padding=0, fused_activation_function=1, **windows)
    x = file.bconv(rng, file.quantize(affine(file, rng, x)), 40, 32, 3, 1, 0, 1, bits=True)
    x = file.op("LceBMaxPool2d", [x], 1, 3, 3, 1, kind="INT32", padding=0, **window("height", "width"))
    x = file.bconv(rng, x, 32, 40, 3, 1, 0, 0)
    x = file.op("MAX_POOL_2D", [x], 1, 1, 1, 40, padding=1, **window("h", "w"))
    x = file.op("RESHAPE", [affine(file, rng, x), file.constant(np.array([1, 40], np.int32))], 1, 40)
    bits = file.quantize(x)
    x = file.op("LceDequantize", [bits], 1, 40)
    dense = file.constant(rng.normal(size=(4, 40)).astype(np.float32))
    x = file.op("FULLY_CONNECTED", [x, dense, -1], 1, 4)
    file.op("SOFTMAX", [x], 1, 4, beta=1.0)
    return file


def affine(file, rng, x):
    shape = file.shape(x)
    scaled = file.op("MUL", [x, file.constant(rng.normal(size=shape[-1]).astype(np.float32))], *shape)
    return file.op("ADD", [scaled, file.constant(rng.normal(size=shape[-1]).astype(np.float32))], *shape)


def window(vertical, horizontal):
    return {"filter_height": 2, "filter_width": 2, f"stride_{vertical}": 2, f"stride_{horizontal}": 2}
