"""What doctor says of an engine is what a small network did on it, with a remedy where it did not run."""

import json
from dataclasses import replace
from importlib import metadata

import pytest
import torch

from bnn_toolchain.converters.graph.graph import Node
from bnn_toolchain.errors import CheckFailed
from bnn_toolchain.runtime import doctor
from bnn_toolchain.runtime.engines.native import library as native
from bnn_toolchain.runtime.engines.reference import ReferenceSession
from tests.cli.command import bnnt


def test_what_ran_is_named(interpreter):
    findings = {finding.part: finding for finding in doctor.examine()}
    agrees = "a small network agrees with the reference"
    assert findings["train and capture"].found == f"torch {torch.__version__}: {agrees}"
    assert findings["engine onnxruntime"].found == f"onnxruntime {metadata.version('onnxruntime')}: {agrees}"
    assert f"kernels {native.kernel_sets()[0]}: {agrees}" in findings["engine native"].found
    assert findings["engine lce"].found == f"LCE 0.16.0: {agrees}"
    ran = [finding for finding in findings.values() if agrees in finding.found]
    assert len(ran) == 4 and all(finding.works and not finding.remedy for finding in ran)


@pytest.mark.parametrize(
    ("name", "part", "other"),
    [
        ("first", "conv", {"pad_value": 1}),
        ("second", "conv", {"pad_value": 0}),
        ("second", "conv", {"pads": (0, 1, 2, 1)}),
        ("second", "pool", {"strides": (1, 1), "kernel": (5, 5)}),
    ],
)
def test_an_engine_that_does_it_in_another_way_is_found(name, part, other):
    graph = doctor._network()
    doctor._compare(graph, "native", ReferenceSession(graph))
    nodes = {node.name: node for node in graph.nodes}
    changed = replace(nodes[name].op, **{part: replace(getattr(nodes[name].op, part), **other)})
    nodes[name] = Node(name, changed, nodes[name].inputs)
    with pytest.raises(CheckFailed, match=f"the bits of '{name}' differ"):
        doctor._compare(graph, "native", ReferenceSession(graph.replace(nodes.values())))


@pytest.mark.parametrize(
    ("source", "found", "remedy"),
    [
        ("raise ImportError('libgomp.so.1: no such file')", "does not run", "libgomp.so.1: no such file): pip install"),
        ("__version__ = '9'", "AttributeError: ", "pip install 'onnxruntime>=1.16' --upgrade --force-reinstall"),
    ],
)
def test_a_package_that_is_there_but_broken_is_a_row_and_no_traceback(tmp_path, source, found, remedy):
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").write_text(source)
    process = bnnt("doctor", "--json", PYTHONPATH=str(tmp_path))
    assert process.returncode == 3 and not process.stderr
    rows = {row["part"]: row for row in json.loads(process.stdout)}
    row = rows["engine onnxruntime"]
    assert not row["works"] and found in row["found"] and remedy in row["remedy"], row
    assert rows["engine native"]["works"]
