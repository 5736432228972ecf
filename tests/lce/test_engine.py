"""LCE's interpreter as an engine: crashes and refusals are errors with names, and the next call works."""

import os
import signal

import numpy as np
import pytest

from bnn_toolchain.cli.setup import setup
from bnn_toolchain.converters import lce
from bnn_toolchain.converters.lce.format.container import Container, Operator, Tensor, encode
from bnn_toolchain.converters.reference import run
from bnn_toolchain.errors import CheckFailed, Unavailable, UsageError
from bnn_toolchain.runtime.engines.lce import environment as lce_environment
from bnn_toolchain.runtime.engines.lce import session as engine

from .layers import branches


@pytest.fixture
def model():
    graph = branches(5, 4)
    return graph, lce.to_bytes(graph), np.random.default_rng(0).integers(0, 256, (3, *graph.spec.shape), dtype=np.uint8)


def crashing():
    """A float convolution without its multiplier: LCE reads through a null pointer."""
    tensors = (
        Tensor("x", "INT32", (1, 4, 4, 1)),
        Tensor("w", "INT32", (8, 3, 3, 1), np.zeros((8, 3, 3, 1), np.int32)),
        Tensor("y", "FLOAT32", (1, 2, 2, 8)),
    )
    options = dict.fromkeys(("stride_height", "stride_width", "dilation_height_factor", "dilation_width_factor"), 1)
    options |= {"channels_in": 32, "padding": 1, "pad_values": 0, "fused_activation_function": 0}
    return encode(Container(tensors, (Operator("LceBconv2d", (0, 1, -1, -1, -1), (2,), options),), (0,), (2,), {}))


def test_a_crash_names_the_model_and_the_flags_and_the_next_call_works(interpreter, model):
    graph, data, images = model
    worker = engine.Worker(crashing(), "reference", 2, "boat.tflite")
    for _ in range(2):
        with pytest.raises(CheckFailed, match=r"boat\.tflite \(kernel reference, 2 threads\) crashed: SIG"):
            worker.run(np.zeros((1, 4, 4, 1), np.int32))
    session = engine.load(data)
    np.testing.assert_array_equal(session.run(images), run(graph, images))
    os.kill(session._plain._process.pid, signal.SIGKILL)
    with pytest.raises(CheckFailed, match="the model"):
        session.run(images)
    np.testing.assert_array_equal(session.run(images), run(graph, images))


def test_an_interpreter_that_hangs_is_ended_and_the_next_call_works(interpreter, monkeypatch):
    """A convolution of 17,000 million products, for which the plain kernel gets half the time that it needs."""
    tensors = (
        Tensor("x", "INT32", (1, 512, 512, 4)),
        Tensor("w", "INT32", (512, 1, 1, 4), np.zeros((512, 1, 1, 4), np.int32)),
        Tensor("limit", "INT32", (512,), np.zeros(512, np.int32)),
        Tensor("y", "INT32", (1, 512, 512, 16)),
    )
    options = dict.fromkeys(("stride_height", "stride_width", "dilation_height_factor", "dilation_width_factor"), 1)
    options |= {"channels_in": 128, "padding": 1, "pad_values": 0, "fused_activation_function": 0}
    slow = encode(Container(tensors, (Operator("LceBconv2d", (0, 1, -1, -1, 2), (3,), options),), (0,), (3,), {}))
    image = np.zeros((1, 512, 512, 4), np.int32)
    worker = engine.Worker(slow, "reference", 1, "slow.tflite")
    ((cpu, _),), _ = worker.run(image)
    worker.close()
    monkeypatch.setattr(engine, "SECONDS", max(1, int(cpu / 2)))
    with pytest.raises(CheckFailed, match=r"slow\.tflite .* gave no answer within \d+ seconds$"):
        worker.run(image)
    monkeypatch.undo()
    assert len(worker.run(image)) == 2


def test_an_answer_that_makes_no_sense_is_a_crash(interpreter, model, monkeypatch, tmp_path):
    _, data, images = model
    for line in ("nonsense", '{"arrays": [["<f4", [-1]]]}', '{"arrays": [["O", [1]]]}', '{"arrays": [["<f4", [9e9]]]}'):
        (tmp_path / "worker.py").write_text(f"print({line!r})\nprint('12345678')\ninput()")
        monkeypatch.setattr(engine, "WORKER", tmp_path / "worker.py")
        with pytest.raises(CheckFailed, match=r"on the model .* crashed"):
            engine.load(data).run(images)


def test_a_refusal_says_what_the_interpreter_said(interpreter):
    tensors = Tensor("x", "FLOAT32", (1, 2)), Tensor("y", "FLOAT32", (1, 2))
    unknown = encode(Container(tensors, (Operator("LceNothing", (0,), (1,)),), (0,), (1,), {}))
    worker = engine.Worker(unknown, "indirect", 1, "noise.tflite")
    with pytest.raises(CheckFailed, match=r"noise\.tflite .* refuses: .*unresolved custom op: LceNothing"):
        worker.run(np.zeros((1, 2), np.float32))


def test_seconds_are_those_of_each_image(interpreter, model):
    _, data, images = model
    logits, seconds = engine.load(data).run_timed(images)
    assert logits.shape == (3, 3) and seconds.shape == (3, 2) and (seconds > 0).all()


def test_wrong_images_and_kernels_are_refused(interpreter, model):
    _, data, images = model
    with pytest.raises(UsageError, match="choose from indirect, optimized, reference"):
        engine.load(data, "fast")
    with pytest.raises(UsageError, match="the model takes uint8"):
        engine.load(data).run(images[:, :5])


def test_without_the_environment_the_remedy_is_named(interpreter, monkeypatch, tmp_path, model):
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match="run `bnnt setup lce`"):
        engine.load(model[1])


def test_machines_without_a_wheel_get_an_alternative(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(Unavailable, match=r"no Python wheel for aarch64\..*lce_benchmark_model"):
        lce_environment.find()
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.version_info", (3, 13, 0))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match=r"needs Python 3\.11, this is 3\.13.*lce_benchmark_model"):
        lce_environment.create()


def test_setup_keeps_an_environment_that_exists(interpreter, capsys):
    from bnn_toolchain.cli.setup import Part

    setup(Part.LCE, json=True)
    assert str(interpreter) in capsys.readouterr().out


def test_a_failed_installation_leaves_nothing(interpreter, monkeypatch, tmp_path):
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lce_environment, "LCE", "0.0.0")
    with pytest.raises(Unavailable, match=r"larq-compute-engine==0\.0\.0"):
        lce_environment.create()
    assert list((tmp_path / "cache").iterdir()) == []
