"""Small files that want much: every reader ends within a second and 16 MB, with a typed error or a right answer."""

import json
import subprocess
import sys

import pytest

from . import onnx_files, other_files, tflite_files

SECONDS, BYTES = 1.0, 16_000_000

# what makes a small valid file and the hostile ones for each reader
CASES = {
    "onnx": onnx_files,
    "native": onnx_files,
    "tflite": tflite_files,
    "npy": other_files.NPY,
    "manifest": other_files.BUNDLE,
    "input": other_files.INPUT,
    "epochs": other_files.EPOCHS,
    "checkpoint": other_files.CHECKPOINT,
    "recipe": other_files.RECIPE,
    "parquet": other_files.PARQUET,
    "image": other_files.IMAGE,
}


def measured(reader, *paths):
    """What each file but the first, a valid one, costs in a process of its own."""
    command = [sys.executable, "-m", "tests.bounds.child", reader, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(paths) - 1
    return found


@pytest.mark.parametrize("reader", CASES)
def test_a_second_and_16_megabytes_for_each_file(reader, tmp_path, record_property):
    case, files = CASES[reader], CASES[reader].files()
    paths = [tmp_path / str(index) / getattr(case, "name", "model") for index in range(len(files) + 1)]
    for path, data in zip(paths, (case.small(), *files.values()), strict=True):
        path.parent.mkdir()
        path.write_bytes(data)
    costs = {
        name: {**cost, "size": len(files[name])} for name, cost in zip(files, measured(reader, *paths), strict=True)
    }
    record_property("bounds", (reader, costs))  # printed at the end by tests/conftest.py
    assert all(cost["seconds"] < SECONDS and cost["bytes"] < BYTES for cost in costs.values()), costs


def test_the_measurement_sees_what_a_reader_takes(tmp_path):
    (tmp_path / "any").write_bytes(b"")
    (cost,) = measured("greedily", tmp_path / "any", tmp_path / "any")
    assert 45_000_000 < cost["bytes"] < 60_000_000
    assert 0.1 < cost["seconds"] < 10
