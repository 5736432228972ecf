"""The main path, typed as a user types it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bnn_toolchain.data.config import Mnist5k
from bnn_toolchain.data.load import load_splits
from tests.cli.command import bnnt, refused
from tests.tools import needs_qemu

STOCK = """
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", providers=["CPUExecutionProvider"])
images, labels = numpy.load(sys.argv[2]), numpy.load(sys.argv[3])
print(json.dumps([int((session.run(None, {"pixels": images})[0].argmax(1) == labels).sum()), *sys.modules]))
"""


@pytest.fixture(scope="module")
def test_split():
    return load_splits(Mnist5k(source="mnist5k")).test


def test_inspect_sums_the_bits_of_every_layer(work):
    process = bnnt("inspect", work / "run", "--json")
    found = json.loads(process.stdout)
    assert found == json.loads(bnnt("inspect", work / "bundle", "--json").stdout)
    assert found["file_bytes"] == (work / "bundle" / "model.onnx").stat().st_size
    assert found["parameter_bytes"] == sum(layer["bytes"] for layer in found["layers"])
    assert "No layer is left in float" in bnnt("inspect", work / "run").stdout


def test_every_engine_validates(work):
    engines = ("native", "onnxruntime", "torch", "reference")
    process = bnnt("validate", work / "bundle", *(f"--engine={engine}" for engine in engines), "--json")
    assert process.returncode == 0, process.stderr
    rows = json.loads(process.stdout)
    assert [row["engine"] for row in rows] == list(engines)
    assert all(row["images_exact"] == row["images"] == 1000 and not row["failures"] for row in rows)
    assert len({row["correct"] for row in rows}) == 1


@needs_qemu
def test_an_emulated_arm_cpu_validates_and_has_no_latency(work):
    process = bnnt("validate", work / "bundle", "--on", "qemu:cortex-a72", "--samples", 50, "--json")
    assert process.returncode == 0, process.stderr
    (row,) = json.loads(process.stdout)
    assert (row["device"], row["images"], row["images_exact"]) == ("qemu:cortex-a72", 50, 50)
    refused(bnnt("bench", work / "bundle", "--on", "qemu:cortex-a72"), 2, "emulator")


def test_native_and_the_trained_module_are_compared_by_default(work):
    process = bnnt("validate", work / "bundle", "--samples", 20, "--json")
    assert process.returncode == 0, process.stderr
    native, trained = json.loads(process.stdout)
    assert (native["engine"], trained["engine"]) == ("native", "torch")
    assert trained["images_exact"] == 20 and trained["contract"]["logits"] == 1e-5


def test_a_bundle_is_called_like_all_of_its_model(work, tmp_path):
    for name in ("lr0.01", "lr0.03"):
        shutil.copytree(work / "run", tmp_path / name)
    shutil.copy(work / "bundle" / "model.onnx", tmp_path / "lr0.03.onnx")
    for model, cwd in (("lr0.01", "."), (".", "lr0.03"), ("lr0.03.onnx", ".")):
        process = bnnt("export", model, "--format", "onnx", cwd=tmp_path / cwd)
        assert process.returncode == 0, process.stderr
    found = {path.name for path in tmp_path.iterdir() if path.name.endswith("-bundle")}
    assert found == {"lr0.01-bundle", "lr0.03-bundle", "lr0.03.onnx-bundle"}


def test_only_the_formats_that_were_asked_for_are_written(work, tmp_path):
    process = bnnt("export", work / "run", "--format", "lce", "--out", tmp_path / "bundle")
    assert process.returncode == 0, process.stderr
    always = {"manifest.json", "model.onnx", "golden"}
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == always | {"model.tflite"}
    targets = ("--target", "arm64", "--target", "arm64", "--cpu", "Cortex_A72")
    process = bnnt("export", work / "run", "--format", "native", *targets, "--out", tmp_path / "bundle")
    assert process.returncode == 0, process.stderr
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == always | {"targets"}
    assert [path.name for path in (tmp_path / "bundle" / "targets").iterdir()] == ["arm64-cortex-a72"]


def test_what_stays_in_float_is_announced(work, tmp_path):
    process = bnnt("export", work / "run", "--format", "onnx", "--out", tmp_path / "bundle")
    assert "left in float" not in process.stderr
    settings = ("--set", "data.offset=127.5", "--set", "epochs=1")
    assert bnnt("train", "recipe.yaml", *settings, "--out", tmp_path / "run", cwd=work).returncode == 0
    process = bnnt("export", tmp_path / "run", "--format", "onnx", "--out", tmp_path / "bundle")
    assert process.returncode == 0, process.stderr
    inspected = bnnt("inspect", tmp_path / "run").stdout.splitlines()
    said = [line for line in inspected if line.startswith("left in float: ")]
    assert said and said == [line for line in process.stderr.splitlines() if line.startswith("left in float: ")]


def test_stock_onnxruntime_alone_has_the_manifests_accuracy(work, test_split, tmp_path):
    np.save(tmp_path / "images.npy", test_split.images)
    np.save(tmp_path / "labels.npy", test_split.labels)
    arguments = (str(work / "bundle"), str(tmp_path / "images.npy"), str(tmp_path / "labels.npy"))
    process = subprocess.run([sys.executable, "-c", STOCK, *arguments], capture_output=True, text=True, check=True)
    correct, *modules = json.loads(process.stdout)
    assert not [name for name in modules if name.startswith("bnn_toolchain")]
    manifest = json.loads((work / "bundle" / "manifest.json").read_text())
    assert correct == manifest["accuracy"]["correct"]
    summary = json.loads((work / "run" / "summary.json").read_text())
    assert correct == round(summary["test_accuracy"] * len(test_split))


@pytest.fixture(scope="module")
def for_lce(work, interpreter, tmp_path_factory):
    """A bundle that holds every format."""
    assert bnnt("setup", "lce").returncode == 0
    out = tmp_path_factory.mktemp("lce") / "bundle"
    process = bnnt("export", work / "run", "--format", "onnx,lce,native", "--out", out)
    assert process.returncode == 0, process.stderr
    assert "native, lce on 100 golden images" in process.stderr
    return out


def test_lce_agrees_on_all_of_its_kernels(for_lce):
    engines = ("lce", "lce-optimized", "lce-reference", "native")
    process = bnnt("validate", for_lce, *(f"--engine={engine}" for engine in engines), "--json")
    assert process.returncode == 0, process.stderr
    rows = json.loads(process.stdout)
    assert [row["engine"] for row in rows] == list(engines)
    assert all(row["images_exact"] == row["images"] and not row["failures"] for row in rows)
    assert len({row["correct"] for row in rows}) == 1


def test_a_tflite_file_does_what_an_onnx_file_does(for_lce, work, tmp_path):
    file = for_lce / "model.tflite"
    inspected = json.loads(bnnt("inspect", file, "--json").stdout)
    assert inspected["layers"] == json.loads(bnnt("inspect", work / "run", "--json").stdout)["layers"]
    assert inspected["file_bytes"] == file.stat().st_size
    engines = ("lce", "native", "onnxruntime", "reference")
    process = bnnt("validate", file, *(f"--engine={engine}" for engine in engines), "--samples", 20, "--json")
    assert process.returncode == 0, process.stderr
    assert [row["images_exact"] for row in json.loads(process.stdout)] == [20] * 4
    assert bnnt("export", file, "--out", tmp_path / "bundle").returncode == 0
    assert (tmp_path / "bundle" / "model.onnx").read_bytes() == (for_lce / "model.onnx").read_bytes()


WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None  # importing it fails
from bnn_toolchain.cli import main
main()
"""


def bnnt_without(package, *arguments):
    command = [sys.executable, "-c", WITHOUT, package, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_model_files_need_no_torch(for_lce, tmp_path):
    file = str(for_lce / "model.tflite")
    for arguments in (
        ("inspect", file),
        ("validate", file, "--engine", "native", "--engine", "lce", "--samples", "3"),
        ("bench", file),
        ("export", file, "--format", "onnx,lce,native", "--out", str(tmp_path / "bundle")),
    ):
        process = bnnt_without("torch", *arguments)
        assert process.returncode == 0, process.stderr


def test_only_tflite_files_need_the_packages_for_them(for_lce):
    for model in (for_lce, for_lce / "model.onnx"):
        process = bnnt_without("tflite", "validate", model, "--samples", 3)
        assert process.returncode == 0, process.stderr
    for arguments in (("inspect", for_lce / "model.tflite"), ("validate", for_lce, "--engine", "lce")):
        refused(bnnt_without("tflite", *arguments), 3, "pip install 'bnnt[lce]'")


def test_bench_prices_every_engine(work):
    found = json.loads(bnnt("bench", work / "bundle", "--json").stdout)
    assert [(timing["engine"], timing["network"]) for timing in found["timings"] if timing["engine"] != "lce"] == [
        ("native", "binary"),
        ("onnxruntime", "binary"),
        ("onnxruntime", "float"),
        ("onnxruntime", "int8"),
    ]
    assert all(timing["cpu"]["min"] > 0 for timing in found["timings"])
    assert [node["name"] for node in found["profile"]]


@pytest.fixture
def digits(test_split, tmp_path):
    """A folder with images of digits in two folders, and something else."""
    for index in range(6):
        folder = tmp_path / "digits" / ("even" if index % 2 == 0 else "odd")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(test_split.images[index, :, :, 0]).save(folder / f"{index}.png")
    (tmp_path / "digits" / "notes.txt").write_text("no image")
    return tmp_path / "digits"


def test_predict_names_the_class(work, digits):
    process = bnnt("predict", work / "bundle", *(digits / "even" / f"{index}.png" for index in (0, 2, 4)), "--json")
    assert process.returncode == 0, process.stderr
    assert {each["class"] for each in json.loads(process.stdout)} <= set("0123456789")


def test_predict_takes_folders_patterns_and_standard_input(work, digits):
    everything = json.loads(bnnt("predict", work / "bundle", digits, "--json").stdout)
    names = [str(digits / f"{'even' if i % 2 == 0 else 'odd'}/{i}.png") for i in (0, 2, 4, 1, 3, 5)]
    assert [each["image"] for each in everything] == names
    even = json.loads(bnnt("predict", work / "bundle", digits / "*" / "[024].png", "--json", "--top", "3").stdout)
    assert [each["class"] for each in even] == [each["class"] for each in everything[:3]]
    for each in even:
        logits = [score["logit"] for score in each["best"]]
        assert len(logits) == 3 and logits == sorted(logits, reverse=True)
        assert each["best"][0]["label"] == each["class"] and each["margin"] == pytest.approx(logits[0] - logits[1])
    process = bnnt("predict", work / "bundle", "-", "--json", stdin=(digits / "even" / "2.png").read_bytes())
    (piped,) = json.loads(process.stdout)
    assert {**piped, "image": names[1]} == everything[1]
    process = bnnt("predict", work / "bundle", digits, "--top", "2")
    assert process.returncode == 0 and all(name in process.stdout.replace("\n", "") for name in ("margin", "logits"))


@needs_qemu
def test_predict_on_an_emulated_board(work, digits):
    here, there = (
        json.loads(bnnt("predict", work / "bundle", digits, "--top", "10", "--json", "--on", on).stdout)
        for on in ("local", "qemu:cortex-a72")
    )
    assert here == there


def test_predict_says_what_is_no_image(work, digits, tmp_path):
    (tmp_path / "empty").mkdir()
    bundle = work / "bundle"
    refused(bnnt("predict", bundle, tmp_path / "empty"), 2, "no images in the folder")
    refused(bnnt("predict", bundle, digits / "*.jpg"), 2, "cannot read", "*.jpg")
    refused(bnnt("predict", bundle, "-", "-"), 2, "cannot be read twice")
    refused(bnnt("predict", bundle, "-", stdin=b""), 2, "standard input holds no image")
    refused(bnnt("predict", bundle, "-", stdin=b"what is this"), 2, "- is not an image in one of the formats")
    refused(bnnt("predict", bundle, digits / "notes.txt"), 2, "notes.txt is not an image")


def test_recipes_are_listed_and_printed():
    listed = json.loads(bnnt("recipes", "--json").stdout)
    assert {"digits", "mnist-mlp", "cifar10-vgg", "cifar10-vgg-quarter"} <= set(listed)
    assert all(f"bnnt train {name}" in head for name, head in listed.items())
    assert "model:" in bnnt("recipes", "digits").stdout


def test_doctor_finds_everything_that_the_tests_need():
    found = {part["part"]: part["works"] for part in json.loads(bnnt("doctor", "--json").stdout)}
    assert found["train and capture"] and found["engine native: compiler"]
