import pytest

from bnn_toolchain.runtime.targets.compiler import Build, build, host_target


@pytest.fixture(scope="session")
def here() -> Build:
    """The native engine for this machine."""
    return build(host_target())
