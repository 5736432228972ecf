"""One thread for every numeric library: tests run beside each other, and a few threads on a busy core take longer."""

import os

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@pytest.fixture(scope="session")
def interpreter():
    """LCE's own interpreter, installed once."""
    from bnn_toolchain.runtime import lce_environment

    return lce_environment.create()
