"""The benchmark measures what it says, and nothing on an emulator."""

import pytest

from bnn_toolchain.converters import onnx
from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.benchmark import benchmark
from bnn_toolchain.runtime.devices.device import device_from
from bnn_toolchain.runtime.float_twin import float_twin
from tests.runtime.networks import small_graph

GRAPH = small_graph()
MODEL = onnx.to_bytes(GRAPH)


def test_every_engine_and_node_is_timed():
    found = benchmark(MODEL, rounds=4)
    assert (found.threads, found.rounds) == (1, 4)
    assert [(t.engine, t.network) for t in found.timings if t.engine != "lce"] == [
        ("native", "binary"),
        ("onnxruntime", "binary"),
        ("onnxruntime", "float"),
        ("onnxruntime", "int8"),
    ]
    for timing in found.timings:
        assert 0 < timing.cpu_min <= timing.cpu_median < 0.1 and 0 < timing.wall_min <= timing.wall_median
        assert timing.version and timing.images >= 4
    binary, _, float_, *_ = found.timings
    assert float_.times_faster == 1
    assert binary.times_faster == pytest.approx(float_.cpu_median / binary.cpu_median, rel=0.9)
    assert (binary.file_bytes, float_.file_bytes) == (len(MODEL), len(float_twin(GRAPH)))
    assert [node.name for node in found.profile] == [node.name for node in GRAPH.nodes]
    assert 0 < sum(node.seconds for node in found.profile) < 10 * binary.wall_median
    assert found.machine.cpu and found.machine.name and found.machine.load_before >= 0


def test_no_latency_of_an_emulator():
    with pytest.raises(UsageError, match=r"qemu:cortex-a72 is an emulator.*bnnt-run model.onnx --bench"):
        benchmark(MODEL, device_from("qemu:cortex-a72"))
