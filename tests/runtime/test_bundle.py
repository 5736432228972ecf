"""Bundles: what is exported is checked, complete and read again; what is damaged is named."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.converters.graph.graph import same_graph
from bnn_toolchain.errors import CheckFailed, FileFormatError, Unavailable, UsageError
from bnn_toolchain.runtime import contenders, export
from bnn_toolchain.runtime.bundle.format import is_bundle, open_bundle, read_manifest
from bnn_toolchain.runtime.bundle.golden import check_golden
from bnn_toolchain.runtime.checks.validate import validate
from bnn_toolchain.runtime.contenders import bundle_contender
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.qemu import QEMU, Qemu
from bnn_toolchain.runtime.export import export_bundle
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import host_target, oldest_target
from tests.runtime.networks import labelled, small_graph

GRAPH = small_graph()
TEST = labelled(GRAPH, 230, wrong=23)
FILES = {"model.onnx", "golden/images.npy", "golden/logits.npy", "golden/digests.npy"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One exported bundle that no test changes."""
    return export_bundle(GRAPH, tmp_path_factory.mktemp("made") / "bundle", test=TEST).path


@pytest.fixture
def bundle(made, tmp_path):
    """A copy to damage."""
    return shutil.copytree(made, tmp_path / "bundle")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_a_bundle_holds(made):
    found = open_bundle(made)
    assert files(made) == FILES | {"manifest.json"}
    assert same_graph(found.graph, GRAPH) and found.model == (made / "model.onnx").read_bytes()
    manifest = found.manifest
    assert (manifest.accuracy.data_set, manifest.accuracy.images, manifest.accuracy.correct) == ("random", 230, 207)
    assert manifest.accuracy.value == 0.9
    assert manifest.input == GRAPH.spec and manifest.decided_by.startswith("torch ")
    assert set(manifest.files) == FILES and manifest.source is None
    golden = found.golden
    assert len(golden.images) == 100 and golden.digests.shape == (100, len(GRAPH.hidden_bits()))
    assert (golden.images[0] == TEST.images[0]).all() and (golden.images[-1] == TEST.images[-1]).all()
    assert list(made.parent.iterdir()) == [made]


def test_the_manifests_accuracy_with_onnxruntime_alone(made, tmp_path):
    np.save(tmp_path / "images.npy", TEST.images)
    np.save(tmp_path / "labels.npy", TEST.labels)
    script = (
        "import json, sys, numpy, onnxruntime\n"
        "model, images, labels = sys.argv[1:]\n"
        "session = onnxruntime.InferenceSession(model)\n"
        "logits = session.run(None, {'pixels': numpy.load(images)})[0]\n"
        "correct = int((logits.argmax(1) == numpy.load(labels)).sum())\n"
        "print(json.dumps([correct, [name for name in sys.modules if name.startswith('bnn_toolchain')]]))\n"
    )
    arguments = [made / "model.onnx", tmp_path / "images.npy", tmp_path / "labels.npy"]
    said = subprocess.run([sys.executable, "-I", "-c", script, *arguments], check=True, capture_output=True).stdout
    assert json.loads(said) == [open_bundle(made).manifest.accuracy.correct, []]


def test_the_engines_of_a_bundle(made):
    found = open_bundle(made)
    contenders = [bundle_contender(found, engine, Local()) for engine in ("native", "onnxruntime", "reference")]
    report = validate(found.graph, contenders, TEST.images, TEST.labels)
    report.check()
    assert [row.correct for row in report.rows] == [207] * 3
    with pytest.raises(Unavailable, match=r"the training run .* which is not here \(the manifest names none\)"):
        bundle_contender(found, "torch", Local())


def test_a_bundle_replaces_a_bundle_and_nothing_else(bundle):
    other = small_graph(1)
    export_bundle(other, bundle, test=labelled(other, 30, wrong=0))
    assert same_graph(open_bundle(bundle).graph, other) and list(bundle.parent.iterdir()) == [bundle]
    for foreign in (bundle.parent / "notes", bundle.parent / "file"):
        if foreign.name == "notes":
            foreign.mkdir()
            (foreign / "manifest.json").write_text('{"format": 2}')
        else:
            foreign.write_text("mine")
        with pytest.raises(UsageError, match="is not a bundle: nothing is overwritten"):
            export_bundle(other, foreign, test=labelled(other, 30, wrong=0))
    assert (bundle.parent / "file").read_text() == "mine" and files(bundle.parent / "notes") == {"manifest.json"}


def test_what_is_not_the_bundles_is_not_lost(bundle, monkeypatch):
    (bundle / "golden" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"golden/thesis\.txt is not the bundle's, and would be lost: move it"):
        export_bundle(GRAPH, bundle, test=TEST)
    (bundle / "golden" / "thesis.txt").rename(bundle.parent / "thesis.txt")
    monkeypatch.chdir(bundle)
    for out in (Path(), bundle):
        with pytest.raises(UsageError, match="is the current folder, which cannot be replaced"):
            export_bundle(GRAPH, out, test=TEST)
    assert files(bundle) == FILES | {"manifest.json"}


EXPORT = """
import os, resource, signal, sys
from pathlib import Path
from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.bundle.format import open_bundle
from bnn_toolchain.runtime.export import TestImages, export_bundle

bundle, out, how = open_bundle(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
images = bundle.golden.images

def announce(message):
    if how in message:
        os.kill(os.getpid(), signal.SIGKILL)

if how.isdecimal():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(how),) * 2)
try:
    export_bundle(bundle.graph, out, test=TestImages("x", images, images[:, 0, 0, 0] % 4), announce=announce)
except UsageError as error:
    print(error)
"""


def export_apart(bundle, out, how):
    return subprocess.run([sys.executable, "-c", EXPORT, bundle, out, how], capture_output=True, text=True)


@pytest.mark.parametrize("how", ["measuring", "checking"])
def test_a_killed_export_leaves_the_old_bundle_and_the_next_one_cleans_up(made, bundle, how):
    before = {name: (bundle / name).read_bytes() for name in files(bundle)}
    assert export_apart(made, bundle, how).returncode == -signal.SIGKILL
    assert {name: (bundle / name).read_bytes() for name in files(bundle)} == before
    assert len(list(bundle.parent.iterdir())) == 2
    assert export_apart(made, bundle, "nowhere").returncode == 0
    assert open_bundle(bundle).manifest.accuracy.data_set == "x" and list(bundle.parent.iterdir()) == [bundle]


def test_a_failed_export_leaves_the_old_bundle_and_nothing_else(bundle, monkeypatch):
    before = {name: (bundle / name).read_bytes() for name in files(bundle)}
    make = export.make_golden

    def wrong(graph, images):
        golden = make(graph, images)
        golden.digests[7, 1] ^= np.uint64(1)
        return golden

    monkeypatch.setattr(export, "make_golden", wrong)
    with pytest.raises(CheckFailed, match=f"bits of '{GRAPH.hidden_bits()[1]}' on 1 of 100 images, first on image 7"):
        export_bundle(GRAPH, bundle, test=TEST)
    assert {name: (bundle / name).read_bytes() for name in files(bundle)} == before
    assert list(bundle.parent.iterdir()) == [bundle]


@pytest.mark.parametrize("engine", ["onnxruntime", "native"])
def test_an_engine_that_contradicts_lets_nothing_be_written(bundle, monkeypatch, engine):
    before = {name: (bundle / name).read_bytes() for name in files(bundle)}
    open_session = contenders.open_session

    def contradicting(name, *arguments):
        session = open_session(name, *arguments)
        run_hidden = session.run_hidden

        def wrong(images):  # twice: the images come in two chunks
            logits, hidden = run_hidden(images)
            logits[7, 1] += 1
            return logits, hidden

        if name == engine:
            session.run_hidden = wrong
        return session

    monkeypatch.setattr(contenders, "open_session", contradicting)
    with pytest.raises(CheckFailed, match=f"{engine} on local: the logits of 2 of 100 images differ"):
        export_bundle(GRAPH, bundle, test=TEST)
    assert {name: (bundle / name).read_bytes() for name in files(bundle)} == before
    assert list(bundle.parent.iterdir()) == [bundle]


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(Unavailable, match="CXX is 'no-such-compiler'"):
        export_bundle(GRAPH, tmp_path / "bundle", test=TEST, targets=[host_target()])
    assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == []


def test_a_full_disk(made):
    """No file may grow beyond 4 KB, which ends a write as a full disk does."""
    model = (made / "model.onnx").stat().st_size
    for limit in (4096, model):  # the model does not fit, then the golden images
        said = export_apart(made, made.parent / "full", str(limit)).stdout
        assert said.startswith("cannot write ") and "File too large" in said
        assert list(made.parent.iterdir()) == [made]


def test_a_full_disk_keeps_the_old_bundle(made, small_disk):
    bundle = shutil.copytree(made, small_disk / "bundle")
    before = {name: (bundle / name).read_bytes() for name in files(bundle)}
    said = export_apart(made, bundle, "nowhere").stdout
    assert said.startswith(f"cannot write the bundle {bundle}: No space left on device")
    assert {name: (bundle / name).read_bytes() for name in files(bundle)} == before
    assert list(small_disk.iterdir()) == [bundle] and open_bundle(bundle)


def test_a_place_that_cannot_be(made):
    with pytest.raises(UsageError, match=r"cannot write the bundle .*: File exists: .*model\.onnx"):
        export_bundle(GRAPH, made / "model.onnx" / "bundle", test=TEST)


def test_images_that_do_not_fit(tmp_path):
    with pytest.raises(UsageError, match=r"the model takes uint8 \[N, 12, 12, 1\]"):
        export_bundle(GRAPH, tmp_path / "b", test=export.TestImages("x", TEST.images[:, 1:], TEST.labels))
    with pytest.raises(UsageError, match=r"230 test images with labels of shape \[229\]"):
        export_bundle(GRAPH, tmp_path / "b", test=export.TestImages("x", TEST.images, TEST.labels[1:]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_truncated_changed_or_missing_file_is_named(bundle, name):
    data = (bundle / name).read_bytes()
    for damaged, words in ((data[:-1], "truncated or changed"), (data[:-1] + bytes([data[-1] ^ 1]), "has changed")):
        (bundle / name).write_bytes(damaged)
        with pytest.raises(FileFormatError, match=words) as caught:
            open_bundle(bundle)
        assert str(bundle / name) in str(caught.value)
    (bundle / name).unlink()
    with pytest.raises(FileFormatError, match=f"{name} cannot be read"):
        open_bundle(bundle)


def test_every_truncation_of_the_manifest(bundle):
    data = (bundle / "manifest.json").read_bytes()
    for length in range(0, len(data.rstrip()), 7):
        (bundle / "manifest.json").write_bytes(data[:length])
        with pytest.raises(FileFormatError, match=r"manifest\.json is truncated, corrupt or foreign"):
            open_bundle(bundle)
    (bundle / "manifest.json").unlink()
    with pytest.raises(FileFormatError, match=r"is not a bundle: cannot read manifest\.json"):
        open_bundle(bundle)
    assert not is_bundle(bundle)
    with pytest.raises(UsageError, match="is not a folder"):
        open_bundle(bundle / "nowhere")


def forged(bundle, change):
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format=2), "format: Input should be 1"),
        (lambda m: m.update(extra=1), "extra: Extra inputs are not permitted"),
        (lambda m: m["accuracy"].update(correct="207"), r"accuracy\.correct: Input should be a valid integer"),
        (lambda m: m["input"].update(scale=[-1.0]), "scales must be positive"),
        (lambda m: m["input"].update(offset=[127.0]), "describes another input"),
        (lambda m: m.update(decided_by="torch 1"), "or other thresholds"),
        (lambda m: m["files"].pop("golden/logits.npy"), r"lists other files than a bundle has: golden/logits\.npy"),
        (lambda m: m["files"].update({"../x": {"bytes": 1, "sha256": ""}}), r"a file '\.\./x', which cannot be"),
        (lambda m: m["files"].update({"/etc/passwd": {"bytes": 1, "sha256": ""}}), "which cannot be"),
        (lambda m: m["files"].update({"a/../../x": {"bytes": 1, "sha256": ""}}), "which cannot be"),
        (lambda m: m["targets"].append({"arch": "arm64", "cpu": "../../x"}), "which cannot be"),
        (lambda m: m["targets"].append({"arch": "../..", "cpu": "x"}), "Input should be 'x86_64' or 'arm64'"),
        (lambda m: m["targets"].append({"arch": "arm64", "cpu": "x"}), "lists other files"),
    ],
)
def test_a_forged_manifest(bundle, change, words):
    forged(bundle, change)
    with pytest.raises(FileFormatError, match=words):
        open_bundle(bundle)


def test_random_damage_to_the_manifest_ends_as_a_typed_error_or_changes_nothing(bundle):
    file = bundle / "manifest.json"
    data, rng = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            read_manifest(bundle)
        except FileFormatError:
            refused += 1
    assert refused > 500


def test_a_manifest_that_is_too_large(bundle):
    (bundle / "manifest.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(FileFormatError, match=r"manifest\.json is .* foreign: it has more than 1,048,576 bytes"):
        open_bundle(bundle)


def test_golden_vectors_of_another_model(bundle, made, tmp_path):
    other = small_graph(1)
    foreign = export_bundle(other, tmp_path / "other", test=labelled(other, 150, wrong=0))
    found = open_bundle(made)
    with pytest.raises(CheckFailed, match="the golden vectors differ from the reference in the bits of"):
        check_golden(foreign.golden, found.graph)
    golden = found.golden
    check_golden(golden, found.graph)
    logits = golden.logits + np.float32([0, 1, 0, 0]) * (np.arange(100) == 4)[:, None]
    with pytest.raises(CheckFailed, match=r"in the logits of 1 of 100 images, first on image 4: expected \["):
        check_golden(dataclasses.replace(golden, logits=logits.astype(np.float32)), found.graph)


def test_qemu_gets_a_build_of_its_own_and_runs_native_alone(made):
    found, device = open_bundle(made), Qemu(QEMU, "cortex-a72")
    assert bundle_contender(found, "native", device).session.program == build(oldest_target("arm64")).program
    with pytest.raises(UsageError, match="qemu:cortex-a72 runs the native engine alone, not onnxruntime"):
        bundle_contender(found, "onnxruntime", device)
