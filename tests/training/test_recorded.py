"""Runs on tables: their images are recognised by one digest, wherever they lie."""

import shutil

import pytest

from bnn_toolchain.data.config import Cifar10, Hub, Mnist5k, moved
from bnn_toolchain.errors import UsageError
from bnn_toolchain.training.recipe import load_recipe
from bnn_toolchain.training.recorded import read_test_images
from bnn_toolchain.training.run_folder import RunFolder
from bnn_toolchain.training.train import train
from tests.training.small import write_recipe


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with two tables and the run on them."""
    folder = tmp_path_factory.mktemp("tables")
    train(load_recipe(str(write_recipe(folder, epochs=1))), folder / "run")
    return folder


def images_of(folder, said, place=None):
    run = RunFolder(folder / "run")
    return read_test_images(run, run.read_training(), place, said.append)


def test_tables_are_known_by_their_content(work, tmp_path):
    said = []
    found, title = images_of(work, said)
    assert (len(found), title, said) == (100, "test.parquet", [])
    record = RunFolder(work / "run").read_record()
    assert (record.train.images, record.validation.images, record.test.images) == (360, 40, 100)
    assert record.test.files == {} and len(record.test.sha256) == 64
    for name in ("train.parquet", "test.parquet"):
        shutil.copy(work / name, tmp_path)
    assert (images_of(work, said, tmp_path)[0].images == found.images).all()
    shutil.copy(tmp_path / "train.parquet", tmp_path / "test.parquet")
    with pytest.raises(UsageError, match="the test images changed: they are not the 100 of the run's table; an accu"):
        images_of(work, said, tmp_path)
    shutil.copy(work / "test.parquet", tmp_path)
    shutil.copy(work / "test.parquet", tmp_path / "train.parquet")
    images_of(work, said, tmp_path)
    assert len(said) == 1 and "the training images changed: they are not the 360 of the run's table" in said[0]
    with pytest.raises(UsageError, match=r"cannot be read: .*train\.parquet is not there"):
        images_of(work, said, tmp_path / "nowhere")


def test_a_run_goes_on_where_its_images_are_now(work, tmp_path):
    moved_work = shutil.copytree(work, tmp_path / "moved")
    recipe = load_recipe(str(moved_work / "recipe.yaml"), [f"data.train={moved_work}/train.parquet"])
    assert train(recipe, moved_work / "run", resume=True).epochs == 1
    recipe = load_recipe(str(moved_work / "recipe.yaml"), [f"data.train={moved_work}/test.parquet"])
    with pytest.raises(UsageError, match="the training images changed: they are not the 360 of the run's table"):
        train(recipe, moved_work / "run", resume=True)


def test_where_images_may_be(tmp_path):
    found = moved(Cifar10(source="cifar10", limit=10), tmp_path)
    assert (found.train, found.test) == (tmp_path / "train.parquet", tmp_path / "test.parquet")
    assert found.limit == 10
    for config in (Mnist5k(source="mnist5k"), Hub(source="hub", name="x")):
        with pytest.raises(UsageError, match=rf"{config.source}, which is read from no folder: leave --data out"):
            moved(config, tmp_path)
