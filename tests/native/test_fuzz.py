"""The loader meets 10,000 seeded mutations of valid files under AddressSanitizer and UBSan."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.runtime.targets.compiler import SOURCES, library_sources
from bnn_toolchain.runtime.targets.target import host_target
from tests.converters.graphs import fused, mixed
from tests.native.sanitized import compile_sanitized
from tests.tools import needs_clang

from .test_random_graphs import random_graph

MUTATIONS = 10_000

pytestmark = needs_clang


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory) -> Path:
    sources = [(Path(__file__).with_name("fuzz.cpp"), ()), *library_sources(host_target())]
    assert SOURCES / "file" / "onnx.cpp" in [source for source, _ in sources]
    return compile_sanitized(sources, tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("seed", [1])
def test_no_mutation_makes_the_loader_or_the_run_touch_what_is_not_theirs(fuzzer, tmp_path, seed):
    rng = np.random.default_rng(seed)
    graphs = [fused(rng), mixed(rng), *(random_graph(n) for n in (3, 11, 29))]
    files = []
    for index, graph in enumerate(graphs):
        files.append(tmp_path / f"{index}.onnx")
        files[-1].write_bytes(to_bytes(graph))
    done = subprocess.run(
        [fuzzer, str(MUTATIONS), str(seed), *files], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == MUTATIONS + len(files)
    assert counts["refused"] > MUTATIONS // 4
    assert counts["ran"] > MUTATIONS // 20
