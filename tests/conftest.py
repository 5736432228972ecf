"""What all tests share.

One thread for every numeric library: tests run beside each other, and a few threads on a busy core take longer.
"""

import os
import subprocess

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@pytest.fixture(scope="session")
def interpreter():
    """LCE's own interpreter, installed once."""
    from bnn_toolchain.runtime import lce_environment

    return lce_environment.create()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "bnnt", str(folder)], capture_output=True)
    if mount.returncode:
        pytest.skip(f"cannot mount a small file system here: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
