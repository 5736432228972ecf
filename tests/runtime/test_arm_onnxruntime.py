"""Stock onnxruntime for aarch64, on a board whose CPU is emulated, answers as it does here."""

import platform
import shutil

import numpy as np
import pytest

from bnn_toolchain.converters import onnx
from bnn_toolchain.runtime.checks.answers import Contender
from bnn_toolchain.runtime.checks.benchmark import Plan, benchmark
from bnn_toolchain.runtime.checks.validate import validate
from bnn_toolchain.runtime.devices.device import open_device
from bnn_toolchain.runtime.devices.qemu import QEMU
from bnn_toolchain.runtime.engines import onnxruntime
from bnn_toolchain.runtime.engines.onnxruntime_device import OnnxRuntimeOnDevice
from tests.runtime import arm_python
from tests.runtime.networks import small_graph
from tests.tools import needs_qemu


@pytest.fixture
def arm(board):
    """The name of a board with an emulated cortex-a72 and a Python of its own."""
    release = platform.freedesktop_os_release() if shutil.which("apt-get") else {}
    if release.get("VERSION_CODENAME") != arm_python.SUITE:
        pytest.skip(f"apt-get of Debian {arm_python.SUITE}, which unpacks an aarch64 Python, is not here")
    root = arm_python.folder()
    board.name(
        "arm",
        runner=f"{QEMU} -cpu cortex-a72 -L {root} -E PYTHONPATH={root}/site",
        python=f"{root}/usr/bin/python3.11",
    )
    return "arm"


@needs_qemu
def test_it_predicts_what_it_predicts_here(arm, tmp_path):
    graph = small_graph()
    images = np.random.default_rng(0).integers(0, 256, (60, *graph.spec.shape), np.uint8)
    here = onnxruntime.load(onnx.to_bytes(graph)).run(images)
    with open_device(arm) as device:
        session = OnnxRuntimeOnDevice(graph, onnx.to_bytes(graph), device)
        there = session.run(images)
        validate(graph, [Contender("onnxruntime", arm, session)], images).check()
        found = benchmark(onnx.to_bytes(graph), device, Plan(rounds=1, rivals=("onnxruntime",)))
    assert (there.argmax(axis=1) == here.argmax(axis=1)).all() and there.tobytes() == here.tobytes()
    networks = [(timing.engine, timing.network) for timing in found.timings]
    expected = [("native", "binary"), ("onnxruntime", "binary"), ("onnxruntime", "float"), ("onnxruntime", "int8")]
    assert networks == expected and found.timings[1].version == arm_python.ONNXRUNTIME
    assert found.machine.emulated and "emulated" in found.machine.cpu and not found.missing
