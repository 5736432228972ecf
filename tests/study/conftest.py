import pytest

from tests.training.small import write_recipe


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """A recipe whose runs take a moment."""
    return str(write_recipe(tmp_path_factory.mktemp("recipe")))
