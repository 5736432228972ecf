"""A folder of photos of many sizes, from training to a device, and what a changed folder does to its figures."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import bnnt, refused

SIZES = [
    (24, 36),
    (36, 24),
    (30, 30),
    (48, 20),
    (20, 48),
    (33, 21),
    (28, 40),
    (17, 19),
    (60, 45),
    (45, 60),
    (16, 16),
    (50, 26),
]
RECIPE = """\
data: {source: folder, path: photos, size: 16, fit: crop, channels: 3}
model: {name: vgg, stages: [[8], [12]], dense: [16]}
batch_size: 10
epochs: 3
optimizer: {lr: 1.0e-2}
"""


def photo(index):
    """A bright patch at the top (class "day") or the bottom, as a camera stores it: every third lies on its side."""
    rng = np.random.default_rng(index)
    height, width = SIZES[index % 12]
    pixels = rng.integers(0, 120, (height, width, 3))
    half = slice(None, height // 2) if index % 2 else slice(height // 2, None)
    pixels[half] += 120
    image, exif = Image.fromarray(pixels.astype(np.uint8)), Image.Exif()
    if index % 3 == 0:
        exif[0x0112] = 6
        image = image.transpose(Image.Transpose.ROTATE_90)
    return image, exif


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with recipe.yaml, photos/ and the run of a training that was started elsewhere."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(60):
        place = folder / "photos" / ("day" if index % 2 else "night")
        place.mkdir(parents=True, exist_ok=True)
        image, exif = photo(index)
        image.save(place / f"{index:02}.jpg", quality=95, exif=exif)
    (folder / "recipe.yaml").write_text(RECIPE)
    process = bnnt("train", folder / "recipe.yaml", "--out", folder / "run", cwd=tmp_path_factory.mktemp("elsewhere"))
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture
def work(made, tmp_path):
    """The same elsewhere, to change; its run names the photos of the first folder."""
    return shutil.copytree(made, tmp_path / "copy")


def record(work):
    return json.loads((work / "run" / "data.json").read_text())


def export(work, *options):
    return bnnt("export", work / "run", "--format", "onnx", "--out", work / "bundle", *options)


def manifest(work):
    return json.loads((work / "bundle" / "manifest.json").read_text())


def test_the_run_names_its_images(work):
    found = record(work)
    names = [name for split in ("train", "validation", "test") for name in found[split]["files"]]
    assert len(names) == len(set(names)) == 60 and {name.split("/")[0] for name in names} == {"day", "night"}
    for split in ("train", "validation", "test"):
        assert found[split]["images"] == len(found[split]["files"]) > 0
        for name, file in found[split]["files"].items():
            assert file["label"] == name.split("/")[0] and len(file["sha256"]) == 64


def test_it_exports_and_predicts_as_it_was_trained(work):
    process = export(work)
    assert process.returncode == 0, process.stderr
    summary = json.loads((work / "run" / "summary.json").read_text())
    test = record(work)["test"]
    accuracy = manifest(work)["accuracy"]
    assert accuracy["data_set"] == "the folder photos" and accuracy["images"] == test["images"]
    assert accuracy["correct"] == round(summary["test_accuracy"] * test["images"])
    assert manifest(work)["input"]["fit"] == "crop"
    names = list(test["files"])
    process = bnnt("predict", work / "bundle", *(work / "photos" / name for name in names), "--json")
    assert process.returncode == 0, process.stderr
    correct = [
        each["class"] == test["files"][name]["label"]
        for name, each in zip(names, json.loads(process.stdout), strict=True)
    ]
    assert sum(correct) == accuracy["correct"] >= 0.8 * len(names)  # also of those that lie on their sides
    process = bnnt("validate", work / "bundle", "--engine", "reference", "--json")
    assert process.returncode == 0 and json.loads(process.stdout)[0]["correct"] == accuracy["correct"], process.stderr


def test_two_test_images_gone_leave_no_accuracy(work):
    test = record(work)["test"]
    assert export(work, "--data", work / "photos").returncode == 0
    shutil.rmtree(work / "bundle")
    for name in list(test["files"])[:2]:
        (work / "photos" / name).unlink()
    message = f"the test images changed: 2 of {test['images']} are gone"
    refused(export(work, "--data", work / "photos"), 2, message, "--no-data exports without accuracy")
    assert not (work / "bundle").exists()


def test_two_training_images_gone_leave_it(work):
    """They move no other image: the test images are those of the run."""
    assert export(work).returncode == 0
    accuracy = manifest(work)["accuracy"]
    train = record(work)["train"]
    for name in list(train["files"])[:2]:
        (work / "photos" / name).unlink()
    process = export(work, "--data", work / "photos")
    assert process.returncode == 0, process.stderr
    assert f"the training images changed: 2 of {train['images']} are gone" in process.stderr
    assert manifest(work)["accuracy"] == accuracy
    process = bnnt("train", work / "recipe.yaml", "--out", work / "run", "--resume")
    refused(process, 2, f"the training images changed: 2 of {train['images']} are gone; put the images back")


def test_an_image_that_trained_the_network_does_not_test_it(work):
    """The folder is split anew by hand: most of the images that trained test now."""
    found = record(work)
    names = list(found["train"]["files"])
    kept = [name for label in ("day", "night") for name in [n for n in names if n.startswith(label)][:6]]
    for path in sorted((work / "photos").glob("*/*.jpg")):
        name = path.relative_to(work / "photos").as_posix()
        split = "train" if name in kept else "val" if name in found["validation"]["files"] else "test"
        to = work / "split" / split / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    process = export(work, "--data", work / "split")
    tests = 60 - len(kept) - found["validation"]["images"]
    refused(process, 2, f"the test images changed: {len(names) - len(kept)} of {tests} trained this network;")
    assert not (work / "bundle").exists()


def test_a_copied_run_without_its_images(work, made, tmp_path):
    made.joinpath("photos").rename(made / "away")
    try:
        message = f"data.path: {made}/photos is not a folder; --data PATH names another place of the images, --no-data"
        refused(export(work), 2, message)
        process = export(work, "--no-data")
        assert process.returncode == 0, process.stderr
        assert "golden images are random, accuracy is not measured" in process.stderr
        assert manifest(work)["accuracy"] is None
        process = bnnt("validate", work / "bundle", "--engine", "reference", "--engine", "torch", "--json")
        assert process.returncode == 0, process.stderr
        assert "is not a folder: comparing on the golden images, without labels" in process.stderr
        assert [row["correct"] for row in json.loads(process.stdout)] == [None, None]
        process = bnnt("export", "run", "--format", "onnx", "--data", "photos", "--out", tmp_path / "b", cwd=work)
        assert process.returncode == 0, process.stderr
        assert "test accuracy" in process.stdout
        assert bnnt("train", work / "recipe.yaml", "--out", work / "run", "--resume").returncode == 0
    finally:
        made.joinpath("away").rename(made / "photos")


def test_options_that_contradict_one_another(work):
    refused(export(work, "--no-data", "--data", work / "photos"), 2, "leave it out for a file, or with --no-data")


def test_a_run_of_an_earlier_version(work):
    (work / "run" / "data.json").unlink()
    refused(export(work), 2, "data.json is missing: an earlier bnnt trained this run", "--no-data")
    assert export(work, "--no-data").returncode == 0
    (work / "run" / "data.json").write_text("[]")
    refused(export(work), 2, "data.json does not say which images the run had")
