import pytest

from tests.training.small import write_recipe


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """A recipe whose runs take a moment, so that a signal meets a study before its end on a busy machine as well."""
    return str(write_recipe(tmp_path_factory.mktemp("recipe"), epochs=12))
