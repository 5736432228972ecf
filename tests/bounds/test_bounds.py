"""Small files that want much: every reader ends within a second and 16 MB, with a typed error or a right answer."""

import json
import subprocess
import sys

import pytest

from . import onnx_files, tflite_files

SECONDS, BYTES = 1.0, 16_000_000

# what makes a small valid file and the hostile ones for each reader
CASES = {
    "onnx": onnx_files,
    "native": onnx_files,
    "tflite": tflite_files,
}


@pytest.fixture(scope="module", params=CASES)
def costs(request, tmp_path_factory):
    """The reader's name, and what each of its files cost."""
    reader = request.param
    warm, files = CASES[reader].small(), CASES[reader].files()
    folder = tmp_path_factory.mktemp(reader)
    paths = [folder / str(index) for index in range(len(files) + 1)]
    for path, data in zip(paths, (warm, *files.values()), strict=True):
        path.write_bytes(data)
    command = [sys.executable, "-m", "tests.bounds.child", reader, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(files)
    return reader, {name: {**each, "size": len(files[name])} for name, each in zip(files, found, strict=True)}


def test_a_second_and_16_megabytes_for_each_file(costs, record_property):
    reader, found = costs
    record_property("bounds", (reader, found))  # printed at the end by tests/conftest.py
    assert all(cost["seconds"] < SECONDS and cost["bytes"] < BYTES for cost in found.values()), found
