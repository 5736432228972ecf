"""Models that LCE's own converter made: ``make test-larq``, by hand, for it installs TensorFlow (2.3 GB).

Every binary activation of every model is compared with LCE bit by bit.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.converters import lce, onnx
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.errors import BnntError
from bnn_toolchain.runtime.engines.lce import environment as lce_environment
from bnn_toolchain.runtime.engines.lce import session as engine
from bnn_toolchain.runtime.engines.native import library as native

from ..lce.test_mutations import mutate

PACKAGES = (
    "tensorflow-cpu==2.16.2",
    "tf-keras==2.16.0",
    "larq==0.14.0",
    "larq-compute-engine==0.16.0",
    "larq-zoo==2.4.0",
    "numpy==1.26.4",
)
BINARY_LAYERS = {
    "plain": 0,
    "mlp": 2,
    "strided": 4,
    "binarynet": 9,
    "alexnet": 8,
    "birealnet": 16,
    "densenet28": 23,
    "meliusnet22": 34,
    "realtobinary": 16,
    "quicknet-small": 16,
}


@pytest.fixture(scope="session")
def models():
    """The files, made once: in an environment with TensorFlow that is kept in the cache."""
    lce_environment.create()
    cache = lce_environment.folder().parent
    environment, folder = cache / "larq-0.14.0-tensorflow-2.16.2", cache / "larq-models"
    python = environment / "bin" / "python"
    if not (environment / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (environment / "ready").touch()
    missing = [name for name in BINARY_LAYERS if not (folder / f"{name}.tflite").exists()]
    if missing:
        script = Path(__file__).with_name("build_models.py")
        quiet = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([python, script, folder, *missing], check=True, env={**os.environ, **quiet})
    return folder


@pytest.mark.parametrize("name", BINARY_LAYERS)
@pytest.mark.parametrize("kernel", ["indirect", "optimized"])
def test_every_binary_activation_is_lces(models, name, kernel):
    data = (models / f"{name}.tflite").read_bytes()
    graph = lce.from_bytes(data)
    images = np.random.default_rng(1).integers(0, 256, (2, *graph.spec.shape), dtype=np.uint8)
    logits, hidden = run_hidden(graph, images)
    found, bits = engine.load(data, kernel, name=name).run_hidden(images)
    assert len(hidden) == len(bits) == BINARY_LAYERS[name]
    for layer in hidden:
        np.testing.assert_array_equal(bits[layer], hidden[layer], layer)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5 * np.abs(logits).max())


@pytest.mark.parametrize("name", ["plain", "mlp", "binarynet"])
def test_models_without_operators_of_larqs_own_run_natively(models, name):
    graph = lce.from_bytes((models / f"{name}.tflite").read_bytes())
    images = np.random.default_rng(2).integers(0, 256, (4, *graph.spec.shape), dtype=np.uint8)
    logits, hidden = run_hidden(graph, images)
    found, bits = native.load(onnx.to_bytes(graph)).run_hidden(images)
    for layer in hidden:
        np.testing.assert_array_equal(bits[layer], hidden[layer], layer)
    np.testing.assert_array_equal(found, logits)


@pytest.mark.parametrize("name", ["mlp", "strided", "binarynet", "quicknet-small"])
def test_damaged_files_of_lces_converter_end_in_a_typed_error_or_a_graph(models, name):
    data = (models / f"{name}.tflite").read_bytes()
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(300):
        # Most of such a file is weights, whose every value is legal: the ends hold the structure.
        where = slice(None) if rng.random() < 0.5 else slice(0, 20_000)
        damaged = mutate(rng, data[where]) + data[where.stop or len(data) :]
        try:
            lce.from_bytes(damaged)
        except BnntError as error:
            assert str(error)
    assert time.process_time() - start < 300
