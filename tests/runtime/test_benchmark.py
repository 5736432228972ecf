"""The benchmark measures what it says, and nothing on an emulator."""

import os
import re
import signal

import pytest

from bnn_toolchain.converters import onnx
from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.checks import benchmark as benchmarking
from bnn_toolchain.runtime.checks.benchmark import benchmark, cpu_name
from bnn_toolchain.runtime.checks.twins import float_twin
from bnn_toolchain.runtime.devices.qemu import QEMU, Qemu
from bnn_toolchain.runtime.engines.lce import session as lce
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
    assert (binary.file_bytes, float_.file_bytes) == (len(MODEL), len(float_twin(GRAPH)))
    assert [node.name for node in found.profile] == [node.name for node in GRAPH.nodes]
    assert 0 < sum(node.seconds for node in found.profile) < 10 * binary.wall_median
    assert found.machine.cpu and found.machine.name and found.machine.load_before >= 0


def test_ratios_compare_within_a_round():
    """The machine slows down tenfold in the second round: the ratio does not notice, the medians do."""
    peers = [benchmarking._Peer("native", "binary", "1", 7, None), benchmarking._Peer("stock", "float", "2", 8, None)]
    samples = [(1.0, 2.0), (10.0, 20.0), (2.0, 3.0)], [(4.0, 5.0), (40.0, 50.0), (8.0, 9.0)]
    runs = [benchmarking._Run(peer, 5, each) for peer, each in zip(peers, samples, strict=True)]
    native, stock = (benchmarking._timing(run, runs[1]) for run in runs)
    assert (native.times_faster, stock.times_faster) == (4.0, 1.0)
    assert (native.cpu_median, native.cpu_min, native.wall_median, native.wall_min) == (2.0, 1.0, 3.0, 2.0)
    assert (stock.cpu_median, stock.images, stock.file_bytes) == (8.0, 15, 8)


def test_an_lce_that_dies_while_it_is_sampled_loses_its_row_and_no_other(interpreter, monkeypatch):
    """The worker is killed in the third of four rounds."""
    timed = lce.LceSession.run_timed
    calls = 0

    def killed(session, images):
        nonlocal calls
        calls += 1
        if calls == 5:  # two for the warm-up, two rounds
            os.kill(session._plain._process.pid, signal.SIGSEGV)
        return timed(session, images)

    monkeypatch.setattr(lce.LceSession, "run_timed", killed)
    found = benchmark(MODEL, rounds=4)
    assert [timing.engine for timing in found.timings] == ["native", "onnxruntime", "onnxruntime", "onnxruntime"]
    assert all(timing.times_faster > 0 for timing in found.timings)
    (missing,) = found.missing
    assert re.match(r"lce: LCE's interpreter on the model \(kernel indirect, 1 thread\) crashed: SIGSEGV", missing)
    assert calls == 5


def test_a_cpu_is_named_by_its_name_or_its_numbers():
    x86 = "processor\t: 0\nmodel name\t: Fast 1\n\nprocessor\t: 1\nmodel name\t: Fast 2\n"
    arm = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd08\n"
    assert cpu_name(x86) == "Fast 1" and cpu_name("") == ""
    assert cpu_name(arm + "\n" + arm.replace("0xd08", "0xd03")) == "ARM implementer 0x41 part 0xd08"


def test_no_latency_of_an_emulator():
    with pytest.raises(UsageError, match=r"qemu:cortex-a72 is an emulator.*bnnt-run model.onnx --bench"):
        benchmark(MODEL, Qemu(QEMU, "cortex-a72"))
