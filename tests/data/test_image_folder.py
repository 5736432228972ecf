"""Folders of images: who trains, validates and tests, and what becomes of everything else in them."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bnn_toolchain.data.config import Folder
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.errors import UsageError


def picture(path, seed, shape=(6, 6, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


def write(root, classes=("a", "b"), count=60, first=0):
    """``count`` images a class, all different, numbered from ``first``."""
    for label, name in enumerate(classes):
        for index in range(count):
            picture(root / name / f"{index:03}.png", first + label * count + index)


def read(root, **fields):
    return load_splits(Folder(source="folder", path=root, **fields))


def placed(splits):
    """The split of every image."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {image.tobytes(): name for name, part in parts.items() for image in part.images}


CHANGES = {
    "nothing": lambda root: None,
    "removed": lambda root: (root / "a/000.png").unlink(),
    "added": lambda root: picture(root / "a/zzz.png", 999),
    "added first": lambda root: picture(root / "a/+.png", 999),
    "renamed": lambda root: (root / "a/000.png").rename(root / "a/zzz.png"),
    "replaced": lambda root: picture(root / "a/000.png", 999),
    "moved to the other class": lambda root: (root / "a/000.png").rename(root / "b/x.png"),
    "a class more": lambda root: shutil.copytree(root / "a", root / "0"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_one_file_moves_no_other(tmp_path, change):
    write(tmp_path)
    before = placed(read(tmp_path))
    assert len(before) == 120 and set(before.values()) == {"train", "validation", "test"}
    CHANGES[change](tmp_path)
    after = placed(read(tmp_path))
    assert {image: after[image] for image in before.keys() & after.keys()}.items() <= before.items()
    assert len(before.keys() - after.keys()) == (change in ("removed", "replaced"))
    assert len(after.keys() - before.keys()) == (change in ("added", "added first", "replaced"))


def test_the_shares_are_those_asked_for(tmp_path):
    write(tmp_path, count=300)
    splits = read(tmp_path, test_share=0.3)
    # 600 images, three standard deviations
    assert abs(len(splits.test) - 180) < 34 and abs(len(splits.validation) - 42) < 19
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 600
    for part in (splits.train, splits.validation, splits.test):
        assert abs(part.labels.mean() - 0.5) < 0.25 and np.any(np.diff(part.labels) < 0)
    other = read(tmp_path, test_share=0.3, split_seed=1)
    assert placed(other) != placed(splits)
    limited = read(tmp_path, test_share=0.3, limit=100)
    assert len(limited.train) + len(limited.validation) == 100 and len(limited.validation) >= 1
    assert np.array_equal(limited.test.images, splits.test.images)
    assert placed(limited).items() <= placed(splits).items()


def test_copies_stay_together_and_are_said(tmp_path):
    write(tmp_path)
    for index in range(20):
        shutil.copy(tmp_path / "a" / f"{index:03}.png", tmp_path / "a" / f"copy{index}.png")
    shutil.copy(tmp_path / "a" / "000.png", tmp_path / "b" / "same.png")
    splits = read(tmp_path)
    parts = [{image.tobytes() for image in part.images} for part in (splits.train, splits.validation, splits.test)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert splits.remarks == (
        "copies of images, in one split with them: 20 (first a/copy0.png)",
        "images that another class has too: 1 (first b/same.png)",
    )


def test_too_few_images_are_refused_with_a_seed_that_works(tmp_path):
    write(tmp_path, count=5)
    refused = []
    for seed in range(20):
        try:
            splits = read(tmp_path, split_seed=seed)
        except UsageError as error:
            refused.append(str(error))
        else:
            assert len(splits.validation) and len(splits.test) and set(splits.train.labels.tolist()) == {0, 1}
    assert 3 < len(refused) < 20
    assert any(f"{tmp_path}, 10 images: none is left to validate: set data.split_seed=" in line for line in refused)
    for line in refused:
        read(tmp_path, split_seed=int(line.split("split_seed=")[1].split(",")[0]))
    shutil.rmtree(tmp_path / "a")
    picture(tmp_path / "a" / "0.png", 1)
    (tmp_path / "b" / "001.png").unlink()
    shutil.copy(tmp_path / "b" / "000.png", tmp_path / "a" / "0.png")
    for path in sorted((tmp_path / "b").iterdir())[1:]:
        path.unlink()
    with pytest.raises(UsageError, match=r"2 images: none is left to \w+: add images$"):
        read(tmp_path)


def test_a_class_of_one_image(tmp_path):
    write(tmp_path)
    picture(tmp_path / "c" / "0.png", 1000)
    said = set()
    for seed in range(20):
        try:
            splits = read(tmp_path, split_seed=seed)
        except UsageError as error:
            said.add(str(error).split(": ")[1])
        else:
            assert (splits.train.labels == 2).sum() == 1
            said.update(splits.remarks)
    assert said == {"none of the class 'c' is left to train", "classes without a test image: c"}


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("Train", "VAL", "Test"), ("train", "valid", "TEST"), ("TRAIN", "Validation", "test")],
)
def test_folders_of_splits_in_any_capitals(tmp_path, train, validation, test):
    write(tmp_path / train, count=20)
    write(tmp_path / validation, count=4, first=100)
    write(tmp_path / test, count=3, first=200)
    splits = read(tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (40, 8, 6)
    assert splits.spec.classes == ("a", "b") and splits.remarks == ()
    assert splits.test.names.tolist() == [f"{test}/{name}/{index:03}.png" for name in "ab" for index in range(3)]
    assert np.any(np.diff(splits.train.labels) < 0)


def test_what_has_no_folder_is_set_apart_from_the_training_images(tmp_path):
    write(tmp_path / "train", count=40)
    write(tmp_path / "test", count=3, first=200)
    splits = read(tmp_path)
    assert len(splits.test) == 6 and len(splits.train) + len(splits.validation) == 80 and len(splits.validation) >= 2
    (tmp_path / "test").rename(tmp_path / "val")
    splits = read(tmp_path)
    assert len(splits.validation) == 6 and len(splits.train) + len(splits.test) == 80 and len(splits.test) >= 6


def test_images_in_the_folders_of_two_splits_only_test(tmp_path):
    write(tmp_path / "train", count=20)
    for split, count in (("val", 4), ("test", 3)):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(count):
                shutil.copy(tmp_path / "train" / name / f"{index:03}.png", tmp_path / split / name)
    splits = read(tmp_path)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == len(placed(splits)) == 40
    assert (len(splits.validation), len(splits.test)) == (2, 6)
    assert splits.remarks == ("images that a later split has too, left out: 14 (first val/a/000.png)",)
    shutil.rmtree(tmp_path / "val")
    shutil.rmtree(tmp_path / "test")
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    with pytest.raises(UsageError, match="80 images: none is left to validate: add images"):
        read(tmp_path)


def test_everything_else_is_accounted_for_in_a_line(tmp_path):
    write(tmp_path, count=40)
    expected = len(placed(read(tmp_path)))
    picture(tmp_path / "a" / "more" / "x.PNG", 2000)
    picture(tmp_path / "a" / "more" / "y.jpeg", 2001)
    (tmp_path / "README.txt").write_text("stray")
    (tmp_path / "labels.csv").write_text("stray")
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / ".DS_Store").touch()
    (tmp_path / "a" / "Thumbs.db").touch()
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "b" / "here.png").symlink_to(tmp_path / "a" / "more" / "x.PNG")
    os.mkfifo(tmp_path / "b" / "pipe.png")
    splits = read(tmp_path)
    assert len(placed(splits)) == expected + 2
    assert splits.remarks == (
        "hidden files and folders, not read: 2 (first .git)",
        "files outside the folders of the classes, not read: 2 (first README.txt)",
        "folders inside a class, whose images count to it: 1 (first a/more/)",
        "files whose names are not those of images, not read: 2 (first a/Thumbs.db)",
        "links to folders inside a class, not read: 1 (first b/loop/)",
        "broken links, not read: 1 (first b/gone.png)",
        "images that another class has too: 1 (first b/here.png)",
    )


def test_folders_beside_those_of_the_splits(tmp_path):
    write(tmp_path / "train", count=20)
    write(tmp_path / "test", count=3, first=200)
    write(tmp_path / "more", count=3, first=300)
    assert read(tmp_path).remarks == ("folders beside those of the splits, not read: 1 (first more/)",)
    (tmp_path / "Test").mkdir()
    with pytest.raises(UsageError, match=r"has Test/ and test/ for one split, test: put the images into one of them"):
        read(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, ("bus", "train"))
    assert read(tmp_path).spec.classes == ("bus", "train")


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="has no sub-folders"):
        read(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(UsageError, match="cat has no images: put some there, or remove the folder"):
        read(tmp_path)
    picture(tmp_path / "cat" / "0.png", 0)
    with pytest.raises(UsageError, match=r"has one class, 'cat', and there must be two: give the folder whose sub-"):
        read(tmp_path)
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    Path(odd).mkdir()
    with pytest.raises(UsageError, match=r"name of the folder \\xff is not UTF-8"):
        read(tmp_path)


def test_a_file_name_that_is_no_text(tmp_path):
    write(tmp_path)
    picture(tmp_path / "a" / os.fsdecode(b"\xff.png"), 500)
    names = [
        name for part in (read(tmp_path).train, read(tmp_path).validation, read(tmp_path).test) for name in part.names
    ]
    assert "a/\\xff.png" in names and len(names) == 121


def test_other_classes_in_the_test_folder(tmp_path):
    write(tmp_path / "train", ("a", "b"), 12)
    write(tmp_path / "test", ("a", "c"), 2)
    with pytest.raises(UsageError, match="train has the classes a, b, test has a, c"):
        read(tmp_path)
