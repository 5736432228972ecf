"""The native engine is at least five times as fast as onnxruntime on the same network in float, one thread each.

CPU time of interleaved rounds is compared, which other processes on the machine hardly change.
"""

import pytest
import torch

from bnn_toolchain.converters import convert, onnx
from bnn_toolchain.data.input import InputSpec
from bnn_toolchain.models import VggConfig, build
from bnn_toolchain.runtime.benchmark import benchmark
from bnn_toolchain.runtime.engines.native import kernel_sets

SPEC = InputSpec(32, 32, 3, (1 / 128,) * 3, (128.0,) * 3, tuple("abcdefghij"))


@pytest.mark.skipif(kernel_sets() == ("portable",), reason="this CPU has none of the wide kernels that are promised")
@pytest.mark.parametrize("width", [0.25, 1.0])
def test_vgg_on_cifar10_shapes(width):
    torch.manual_seed(0)
    found = benchmark(onnx.to_bytes(convert(build(VggConfig(width=width), SPEC).eval(), SPEC)), rounds=5)
    native = found.timings[0]
    assert native.engine == "native" and native.times_faster >= 5, found
