"""What all tests share."""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings

from bnn_toolchain.errors import Unavailable

# One thread for every numeric library: tests run beside each other, and a few threads on a busy core take longer.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# The same examples in every run, however busy the machine is.
settings.register_profile("bnnt", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("unshrunk", settings.get_profile("bnnt"), phases=[Phase.generate])
settings.load_profile("bnnt")


@pytest.fixture(autouse=True)
def seeded():
    """What a test draws from torch is the same whatever ran before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def lowered(tmp_path_factory):
    """The lowered graph of ``tests.networks.random_network(seed)``, which whoever needs it first in this run makes.

    Hundreds take minutes, and three modules, which may run beside each other, look at the same ones. A graph that
    comes back from its file is the one that was written: whoever makes it looks.
    """
    from bnn_toolchain.converters import convert
    from bnn_toolchain.converters.graph.graph import same_graph
    from bnn_toolchain.converters.onnx import from_bytes, to_bytes
    from bnn_toolchain.files import write_atomically
    from tests.networks import random_network

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "lowered"
    folder.mkdir(exist_ok=True)

    def graph(seed, module=None, spec=None):
        path = folder / f"{seed}.onnx"
        if path.exists():
            return from_bytes(path.read_bytes())
        made = convert(*(random_network(seed) if module is None else (module, spec)))
        data = to_bytes(made)
        assert same_graph(from_bytes(data), made)
        write_atomically(path, data)
        return made

    return graph


@pytest.fixture(scope="session")
def interpreter():
    """LCE's own interpreter, installed once; there is none for ARM64."""
    from bnn_toolchain.runtime.engines.lce import environment as lce_environment

    try:
        lce_environment.interpreter()
    except Unavailable as error:
        pytest.skip(str(error))
    return lce_environment.create()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "bnnt", str(folder)], capture_output=True)
    if mount.returncode:
        pytest.skip(f"only root may mount a small file system: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def pytest_terminal_summary(terminalreporter):
    """What tests/bounds measured: the time and the memory that each hostile file costs its reader."""
    passed = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    tables = [value for report in passed for name, value in report.user_properties if name == "bounds"]
    if tables:
        terminalreporter.section("hostile files: CPU seconds and peak memory")
    for reader, costs in sorted(tables):
        for file, cost in costs.items():
            spent = f"{cost['seconds']:6.3f} s {cost['bytes'] / 1e6:6.1f} MB"
            terminalreporter.write_line(
                f"{reader:10} {file:32} {cost['size']:>9,} bytes {spent}  {' '.join(cost['outcome'].split())[:60]}"
            )
