"""The benchmark measures what it says, and nothing on an emulator."""

import json
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest

from bnn_toolchain.converters import onnx
from bnn_toolchain.errors import BadAnswer, FileFormatError, UsageError
from bnn_toolchain.runtime.checks.bench_record import Benchmark, compare, read_benchmark
from bnn_toolchain.runtime.checks.benchmark import Plan, Run, benchmark, places_of, timing_of, warnings_of
from bnn_toolchain.runtime.checks.peers import Peer, Pinned, Round, lce_there
from bnn_toolchain.runtime.checks.twins import float_twin
from bnn_toolchain.runtime.devices.facts import read_facts
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.qemu import QEMU, Qemu
from bnn_toolchain.runtime.devices.scripts import FACTS
from bnn_toolchain.runtime.engines.lce import session as lce
from bnn_toolchain.runtime.engines.native.library import kernel_sets
from tests.runtime.board import shell_program
from tests.runtime.networks import small_graph
from tests.runtime.test_named import PI

GRAPH = small_graph()
MODEL = onnx.to_bytes(GRAPH)


def test_every_engine_and_node_is_timed():
    found = benchmark(MODEL, plan=Plan(rounds=4))
    assert (found.format, found.threads, found.rounds, found.batch) == (1, 1, 4, 1)
    assert [(t.engine, t.network) for t in found.timings if t.engine != "lce"] == [
        ("native", "binary"),
        ("onnxruntime", "binary"),
        ("onnxruntime", "float"),
        ("onnxruntime", "int8"),
    ]
    for timing in found.timings:
        for spread in (timing.cpu, timing.wall):
            assert 0 < spread.min <= spread.low <= spread.median <= spread.high < 0.1
            assert spread.min <= spread.p90 <= spread.p99
        assert timing.version and timing.runs >= 20 and len(timing.cpu_low) == len(timing.wall_low) == 4
    binary, _, float_, *_ = found.timings
    assert binary.load > 0 and 1e5 < binary.peak_bytes < 1e8
    assert float_.times_faster == 1 and len(found.yardstick) == 4
    assert (binary.file_bytes, float_.file_bytes) == (len(MODEL), len(float_twin(GRAPH)))
    assert [node.name for node in found.profile] == [node.name for node in GRAPH.nodes]
    assert 0 < sum(node.seconds for node in found.profile) < 10 * binary.wall.median
    assert any(node.macs_per_cycle for node in found.profile if node.macs)
    shares = [node.share_of_peak for node in found.profile if node.kernel.startswith("bits ")]
    if kernel_sets()[0] == "portable":  # compilers choose its instructions: it has no peak
        assert not any(shares)
    else:
        assert all(0 < share < 1.3 for share in shares) and len(shares) >= 2
    assert found.machine.cpu and found.machine.name and found.machine.device == "local" and not found.machine.emulated
    assert Benchmark.model_validate_json(found.model_dump_json()) == found


def test_a_batch_is_timed_by_the_image():
    one, many = (benchmark(MODEL, plan=Plan(rounds=2, batch=n, rivals=())).timings[0].wall.min for n in (1, 64))
    assert many < 2 * one
    with pytest.raises(UsageError, match="a batch of 0: take 1 to 4096"):
        benchmark(MODEL, plan=Plan(batch=0))
    with pytest.raises(UsageError, match="'tensorrt' cannot be timed beside the native engine"):
        benchmark(MODEL, plan=Plan(rounds=1, rivals=("tensorrt",)))


def test_this_process_may_run_anywhere_again():
    before = os.sched_getaffinity(0)
    benchmark(MODEL, plan=Plan(rounds=1, rivals=()))
    assert os.sched_getaffinity(0) == before


def test_ratios_compare_within_a_round():
    """The machine slows down tenfold in the second round: the ratio does not notice, the medians do."""
    peers = [Peer("native", "binary", "1", 7, None), Peer("stock", "float", "2", 8, None)]
    samples = [(1.0, 2.0), (10.0, 20.0), (2.0, 3.0)], [(4.0, 5.0), (40.0, 50.0), (8.0, 9.0)]
    runs = [
        Run(peer, [Round(np.full(5, cpu), np.full(5, wall)) for cpu, wall in each])
        for peer, each in zip(peers, samples, strict=True)
    ]
    native, stock = (timing_of(run, runs[1]) for run in runs)
    assert (native.times_faster, stock.times_faster) == (4.0, 1.0)
    assert (native.cpu.median, native.cpu.min, native.wall.median, native.wall.min) == (2.0, 1.0, 3.0, 2.0)
    assert (stock.cpu.median, stock.runs, stock.file_bytes) == (8.0, 15, 8)


def test_an_lce_that_dies_while_it_is_sampled_loses_its_row_and_no_other(interpreter, monkeypatch):
    """The worker is killed in the third of four rounds."""
    timed = lce.LceSession.run_timed
    calls = 0

    def killed(session, images):
        nonlocal calls
        calls += 1
        if calls == 4:  # one for the warm-up, two rounds
            os.kill(session._plain._process.pid, signal.SIGSEGV)
        return timed(session, images)

    monkeypatch.setattr(lce.LceSession, "run_timed", killed)
    found = benchmark(MODEL, plan=Plan(rounds=4))
    assert [timing.engine for timing in found.timings] == ["native", "onnxruntime", "onnxruntime", "onnxruntime"]
    assert all(timing.times_faster > 0 for timing in found.timings)
    (missing,) = found.missing
    assert re.match(r"lce: LCE's interpreter on the model \(kernel indirect, 1 thread\) crashed: SIGSEGV", missing)
    assert calls == 4


def test_no_latency_of_an_emulator():
    with pytest.raises(UsageError, match=r"qemu:cortex-a72 is an emulator.*bnnt-run model.onnx --bench"):
        benchmark(MODEL, Qemu(QEMU, "cortex-a72"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"format": 2}', "format: Input should be 1"),
        ('{"format": 1, "bnnt": 3}', "bnnt: Input should be a valid string"),
        ("{" * 100_000, "more lists and values|Invalid JSON"),
        ("1" * (1 << 20) + "1", "has more than"),
    ],
)
def test_a_file_that_is_no_benchmark(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=words):
        read_benchmark(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_benchmark(tmp_path / "none.json")


def test_hostile_numbers_are_no_times(tmp_path):
    found = benchmark(MODEL, plan=Plan(rounds=1, rivals=()))
    document = json.loads(found.model_dump_json())
    path = tmp_path / "a.json"
    for value in (0, -1, 1e300, float("nan"), float("inf"), "1", None):
        document["timings"][0]["cpu_low"] = [value]
        path.write_text(json.dumps(document))
        with pytest.raises(FileFormatError, match="is no benchmark"):
            read_benchmark(path)
    document["timings"][0]["cpu_low"] = [1.0, 2.0]
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="cannot be compared: it has 2 rounds and 1 of the yardstick"):
        compare(read_benchmark(path), found)
    document["timings"] = []
    with pytest.raises(UsageError, match="no engine and network in common"):
        compare(found, Benchmark.model_validate_json(json.dumps(document)))


class Board(Local):
    """A board by its facts alone."""

    here, arch = False, "arm64"


def test_each_kind_of_core_is_measured_and_the_last_is_the_fastest():
    facts = read_facts(PI.encode(), "pi")
    assert places_of(facts, Board()) == [Pinned("cortex-a53", 2), Pinned("cortex-a72", 0)]
    assert places_of(replace(facts, cores=()), Board()) == [Pinned("", None)]
    own = os.sched_getaffinity(0)
    assert all(place.core in own for place in places_of(read_facts(Local().script(FACTS), "local"), Local()))


def test_a_board_that_slows_itself_down_says_so():
    hot = read_facts(PI.encode(), "pi")
    cool = read_facts(PI.replace("0x50005", "0x0").replace("ondemand", "powersave").encode(), "pi")
    assert not list(warnings_of(Board(), replace(cool, state=replace(cool.state, governors=())), cool))
    (weak,) = warnings_of(Board(), replace(hot, state=replace(hot.state, throttled="")), hot)
    assert weak == "the device slowed itself down while it was measured: its power supply is too weak, it is throttled"
    (slow,) = warnings_of(Board(), cool, cool)
    assert slow.startswith("the governor powersave keeps the CPU slow")
    busy = replace(cool, state=replace(cool.state, governors=(), throttle_counts=3))
    (counted,) = warnings_of(Board(), replace(busy, state=replace(busy.state, throttle_counts=2)), busy)
    assert "too hot" in counted


def test_the_benchmark_of_lce_on_a_device_is_read_by_its_average(tmp_path):
    """A script stands in for lce_benchmark_model, which no board was at hand for."""
    model = tmp_path / "model.tflite"
    model.write_bytes(b"a model")
    words = "Inference timings in us: Init: 512, First inference: 3207, Warmup (avg): 3178.2, Inference (avg): 3141.5"
    text = f'[ "$1 $2" = "--graph=model.tflite --num_threads=1" ] && read line < model.tflite; echo "INFO: {words}"'
    sample = lce_there(shell_program(tmp_path, text), model, Local()).sample()
    assert sample.cpu is None and sample.wall.tolist() == [pytest.approx(3141.5e-6)]
    for text in ("echo INFO", "echo 'Inference (avg): 0'", "echo 'Inference (avg): 1e999'"):
        with pytest.raises(BadAnswer, match=r"printed no 'Inference \(avg\)': is it lce_benchmark_model"):
            lce_there(shell_program(tmp_path, text), model, Local()).sample()
