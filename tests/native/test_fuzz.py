"""The loader meets 10,000 seeded mutations of valid files under AddressSanitizer and UBSan."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.runtime.targets.compiler import SOURCES, library_sources
from bnn_toolchain.runtime.targets.target import host_target
from tests.converters.graphs import fused, mixed
from tests.tools import needs_clang

from .test_random_graphs import random_graph

MUTATIONS = 10_000
OLDEST = {"x86_64": "x86-64-v2", "arm64": "armv8-a"}  # the CPUs that the library is built for
SANITIZED = (
    *("clang++", "-std=c++20", "-O1", "-g", f"-march={OLDEST[host_target().arch]}", "-ffp-contract=off"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)

pytestmark = needs_clang


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    empty = [*SANITIZED, "-x", "c++", "-", "-o", folder / "empty"]
    if subprocess.run(empty, input=b"int main() {}", capture_output=True).returncode:
        pytest.skip("clang++ has no sanitizers here: apt install libclang-rt-dev")

    def compile_one(source: Path, flags: tuple[str, ...]) -> str:
        made = folder / ("-".join(source.parts[-3:]) + ".o")
        subprocess.run([*SANITIZED, *flags, "-c", source, "-o", made], check=True)
        return str(made)

    sources = [(Path(__file__).with_name("fuzz.cpp"), ()), *library_sources(host_target())]
    assert SOURCES / "file" / "onnx.cpp" in [source for source, _ in sources]
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(lambda job: compile_one(*job), sources))
    program = folder / "fuzz"
    subprocess.run([*SANITIZED, *objects, "-o", program], check=True)
    return program


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
