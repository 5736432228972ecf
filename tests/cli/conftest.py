import pytest

from tests.cli.command import bnnt

RECIPE = """\
data: {source: mnist5k, limit: 1000}
model: {name: vgg, stages: [[16], [24]], dense: [40]}
batch_size: 100
epochs: 2
optimizer: {lr: 1.0e-2}
"""


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """A folder with recipe.yaml, the run that the command trained by it, and the bundle exported for two machines."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "recipe.yaml").write_text(RECIPE)
    for command in (
        ("train", "recipe.yaml", "--out", "run"),
        ("export", "run", "--target", "host", "--target", "arm64", "--cpu", "cortex-a72", "--out", "bundle"),
    ):
        process = bnnt(*command, cwd=folder)
        assert process.returncode == 0, process.stderr
    return folder
