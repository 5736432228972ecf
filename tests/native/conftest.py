import pytest

from bnn_toolchain.runtime.targets.cache import Build, build
from bnn_toolchain.runtime.targets.target import host_target


@pytest.fixture(scope="session")
def here() -> Build:
    """The native engine for this machine."""
    return build(host_target())
