"""Whatever is wrong ends with one clear message, its exit code, and nothing half-written."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bnn_toolchain.converters import onnx
from bnn_toolchain.converters.graph.graph import Graph
from tests.cli.command import bnnt, refused


def test_an_unknown_recipe():
    refused(bnnt("train", "digit"), 2, "digit", "digits")


def test_fields_that_are_wrong_are_named_together(work, tmp_path):
    settings = ("--set", "optimizer.lr=fast", "--set", "epoch=3")
    process = bnnt("train", "recipe.yaml", *settings, "--out", tmp_path / "run", cwd=work)
    refused(process, 2, "optimizer.lr", "fast", "epoch: no such field (did you mean 'epochs'?)")
    assert not (tmp_path / "run").exists()


def test_a_missing_and_an_empty_data_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, words in (("nothing", "not a folder"), ("empty", "no sub-folders")):
        settings = ("--set", f"data={{source: folder, path: {tmp_path / name}}}")
        refused(bnnt("train", "digits", *settings, "--out", tmp_path / "run"), 2, words)
    assert not (tmp_path / "run").exists()


def test_a_corrupt_image_in_a_folder(tmp_path):
    folder = tmp_path / "images" / "one"
    folder.mkdir(parents=True)
    shutil.copytree(folder, tmp_path / "images" / "two")
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "images" / "two" / "a.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:40])
    settings = ("--set", f"data={{source: folder, path: {tmp_path / 'images'}}}")
    refused(bnnt("train", "digits", *settings, "--out", tmp_path / "run"), 2, "b.png", "corrupt")


def test_a_loss_that_is_no_number_keeps_the_best(work, tmp_path):
    settings = ("--set", "optimizer.lr=1e38")
    refused(bnnt("train", "recipe.yaml", *settings, "--out", tmp_path / "run", cwd=work), 1, "loss is", "lower")


def test_images_that_do_not_fit(work, tmp_path):
    pixels = np.zeros((28, 28, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    Image.fromarray(pixels[:20, :, 0]).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("no image")
    for name, words in (("colour", "colour"), ("small", "20x28"), ("text", "not an image"), ("nothing", "cannot read")):
        refused(bnnt("predict", work / "bundle", tmp_path / f"{name}.png"), 2, f"{name}.png", words)


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "golden/logits.npy"])
def test_a_truncated_bundle(work, tmp_path, file):
    bundle = tmp_path / "bundle"
    shutil.copytree(work / "bundle", bundle)
    (bundle / file).write_bytes((bundle / file).read_bytes()[:-7])
    refused(bnnt("validate", bundle), 2, file.split("/")[-1])


def test_files_that_are_no_model(work, tmp_path):
    whole = (work / "bundle" / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "foreign.onnx").write_bytes(b"\x08\x07\x12\x05hello")
    (tmp_path / "foreign.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3hello")
    for name in ("cut.onnx", "foreign.onnx", "foreign.tflite"):
        refused(bnnt("inspect", tmp_path / name), 2, name)


@pytest.mark.parametrize("command", ["inspect", "export", "validate", "bench"])
def test_what_cannot_be_read_is_one_message(work, tmp_path, command):
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "unreadable.onnx").symlink_to("/proc/self/mem")  # for root as well
    (tmp_path / "dangling.onnx").symlink_to("nowhere")
    for name, words in (("empty", "empty"), ("folder", ""), ("unreadable", "Input/output error"), ("dangling", "")):
        process = bnnt(command, f"{name}.onnx", cwd=tmp_path)
        refused(process, 2, f"{name}.onnx", words)
        assert process.stderr.count("error: ") == 1 and not process.stdout
    refused(bnnt(command, ".", cwd=tmp_path), 2, "error: . is ")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_bundle_is_not_exported(work):
    refused(bnnt("export", work / "bundle"), 2, "is a bundle already: give its model.onnx")
    refused(bnnt("export", ".", cwd=work / "bundle"), 2, ". is a bundle already")


def test_out_of_memory(work, tmp_path):
    settings = ("--set", "model={name: mlp, hidden: 4000000}")
    process = bnnt("train", "recipe.yaml", *settings, "--out", tmp_path / "run", cwd=work)
    refused(process, 1, "error: out of memory: take a smaller network or batch", "64000000000000 bytes")


def test_names_that_no_terminal_shows(tmp_path):
    refused(bnnt("inspect", os.fsdecode(b"na\xffme.onnx"), cwd=tmp_path), 2, r"na\udcffme.onnx does not exist")
    process = bnnt("recipes", PYTHONIOENCODING="ascii")
    assert process.returncode == 0, process.stderr


def test_a_truncated_checkpoint(work, tmp_path):
    shutil.copytree(work / "run", tmp_path / "run")
    checkpoint = tmp_path / "run" / "best.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    refused(bnnt("export", tmp_path / "run", "--out", tmp_path / "bundle"), 2, "best.safetensors")
    assert not (tmp_path / "bundle").exists()


def test_nothing_else_is_overwritten(work, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused(bnnt("export", work / "run", "--out", tmp_path / "mine"), 2, "not a bundle")
    refused(bnnt("export", work / "run", "--out", ".", cwd=tmp_path), 2, "current folder")
    refused(bnnt("train", "recipe.yaml", "--out", tmp_path / "mine", cwd=work), 2, "not empty")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_names_that_do_not_exist(work):
    refused(bnnt("validate", work / "bundle", "--engine", "tensorflow"), 2, "tensorflow", "native")
    refused(bnnt("validate", work / "bundle", "--on", "toaster"), 2, "toaster", "qemu:CPU")
    refused(bnnt("export", work / "run", "--target", "toaster"), 2, "toaster", "arm64")
    refused(bnnt("bench", "toaster"), 2, "toaster is neither a path nor a recipe", "digits")
    refused(bnnt("export", work / "run", "--format", "onnx,coreml"), 2, "coreml", "lce")
    refused(bnnt("export", work / "run", "--format", "lce", "--target", "host"), 2, "add native")
    refused(bnnt("export", work / "run", "--cpu", "cortex-a72"), 2, "cortex-a72", "add --target arm64")
    refused(bnnt("validate", work / "bundle", "--engine", "lce"), 2, "--format onnx,lce,native")


def test_no_compiler(work, tmp_path):
    environment = {"CXX": "no-such-compiler", "BNNT_CACHE": str(tmp_path / "cache")}
    refused(bnnt("export", work / "run", "--out", tmp_path / "bundle", **environment), 3, "no-such-compiler", "CXX")
    assert not (tmp_path / "bundle").exists()


def test_no_qemu(work):
    refused(bnnt("validate", work / "bundle", "--on", "qemu:cortex-a72", PATH="/nowhere"), 3, "qemu-user-static")


def test_a_full_disk(work, small_disk):
    process = bnnt("train", "recipe.yaml", "--out", small_disk / "run", cwd=work)
    assert process.returncode in (1, 2)
    refused(process, process.returncode, "space")
    refused(bnnt("export", work / "run", "--out", small_disk / "bundle"), 2, "bundle", "space")
    assert not (small_disk / "bundle").exists()
    assert [each.name for each in small_disk.iterdir()] in ([], ["run"])


def test_a_file_of_another_number_of_classes(work, tmp_path):
    """One class name less than outputs: every command says both numbers instead of naming a wrong class."""
    graph = onnx.load(work / "bundle" / "model.onnx")
    spec = replace(graph.spec, classes=graph.spec.classes[:9])
    onnx.save(Graph(spec, graph.nodes, graph.decided_by), tmp_path / "nine.onnx")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "image.png")
    for command in (
        ("predict", tmp_path / "nine.onnx", tmp_path / "image.png"),
        ("validate", tmp_path / "nine.onnx"),
        ("bench", tmp_path / "nine.onnx"),
        ("export", tmp_path / "nine.onnx", "--out", tmp_path / "bundle"),
    ):
        refused(bnnt(*command), 2, "yields 10 numbers for each image, and the input names 9 classes (0, 1, 2, 3, …)")
    assert not (tmp_path / "bundle").exists()
