import pytest

from bnn_toolchain.runtime import lce_environment


@pytest.fixture(scope="session")
def interpreter():
    """LCE's own interpreter, installed once."""
    return lce_environment.create()
