"""bnnt-run: what it writes, and what it says to files that are not what they should be."""

import json
import os
import subprocess

import numpy as np
import pytest

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.runtime.bundle.golden import make_golden, write_golden
from bnn_toolchain.runtime.engines.native.library import load
from tests.converters.graphs import fused, images, mixed

from .host import expected_kernel_sets, kernel


@pytest.fixture
def folder(tmp_path):
    """A model and its golden vectors."""
    rng = np.random.default_rng(0)
    graph = fused(rng)
    (tmp_path / "model.onnx").write_bytes(to_bytes(graph))
    write_golden(make_golden(graph, images(rng, graph.spec, 4)), tmp_path)
    return tmp_path


@pytest.fixture
def run(here, folder):
    def run(*arguments, code=0):
        done = subprocess.run(
            [here.program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        found = json.loads(done.stdout)
        assert done.stderr == (f"bnnt-run: {found['error']}\n" if code == 2 else "")
        return found

    return run


def test_golden_vectors(run, folder):
    found = run("model.onnx", "--golden", ".")
    layers = ["first", "second", "third.sign", "flat", "dense"]
    assert found["golden"] == {
        "images": 4,
        "logits_equal": 4,
        "hidden_equal": 4,
        "layers": [{"name": name, "mismatches": 0} for name in layers],
    }


def test_a_wrong_golden_bit_is_found(run, folder):
    digests = np.load(folder / "digests.npy")
    digests[2, 1] ^= np.uint64(1 << 40)
    np.save(folder / "digests.npy", digests)
    golden = run("model.onnx", "--golden", ".", code=1)["golden"]
    assert (golden["logits_equal"], golden["hidden_equal"]) == (4, 3)
    assert [layer["mismatches"] for layer in golden["layers"]] == [0, 1, 0, 0, 0]


def test_a_golden_logit_that_is_off_by_one_bit_is_found(run, folder):
    logits = np.load(folder / "logits.npy")
    logits.view(np.uint32)[1, 2] ^= 1
    np.save(folder / "logits.npy", logits)
    golden = run("model.onnx", "--golden", ".", code=1)["golden"]
    assert (golden["logits_equal"], golden["hidden_equal"]) == (3, 4)


def test_logits_and_digests_are_written(run, folder):
    run("model.onnx", "--images", "images.npy", "--logits", "a.npy", "--digests", "b.npy")
    np.testing.assert_array_equal(np.load(folder / "a.npy"), np.load(folder / "logits.npy"))
    np.testing.assert_array_equal(np.load(folder / "b.npy"), np.load(folder / "digests.npy"))
    assert np.load(folder / "a.npy").dtype == np.float32
    assert not list(folder.glob("*.part*"))


def test_an_output_that_is_an_image_is_written_channels_first(run, folder):
    graph = mixed(np.random.default_rng(3))
    graph = Graph(graph.spec, graph.nodes[:4])
    pixels = images(np.random.default_rng(4), graph.spec, 2)
    (folder / "image.onnx").write_bytes(to_bytes(graph))
    np.save(folder / "pixels.npy", pixels)
    run("image.onnx", "--images", "pixels.npy", "--logits", "out.npy")
    expected = load(to_bytes(graph)).run(pixels)
    assert expected.shape == (2, 6, 9, 7)
    np.testing.assert_array_equal(np.load(folder / "out.npy"), expected)


def test_describe(run):
    found = run("model.onnx", "--describe")
    assert found["kernels"] == expected_kernel_sets()[0]
    assert json.loads(found["input"])["classes"] == ["cat", "dog", "Käse", "d"]
    nodes = {node["name"]: node for node in found["nodes"]}
    bits = kernel("bits", expected_kernel_sets()[0])  # three inputs and zeros around them: halves of counts
    expected = {"op": "BinaryConv2dMaxPoolThreshold", "kernel": bits, "kind": "bits", "shape": [5, 3, 6], "bytes": 15}
    assert nodes["second"] == {"name": "second", **expected}


def test_several_threads_give_the_same(run, folder):
    found = []
    for words in ((), ("--threads", "2"), ("--threads", "1024")):
        cpus = len(os.sched_getaffinity(0))
        printed = run("model.onnx", "--images", "images.npy", "--logits", "a.npy", "--digests", "b.npy", *words)
        assert printed["threads"] == min(int(words[1]), cpus) if words else 1
        found.append((folder / "a.npy").read_bytes() + (folder / "b.npy").read_bytes())
    assert len(set(found)) == 1
    for wrong in ("0", "1025", "two"):
        assert "a number from 1 to 1024" in run("model.onnx", "--describe", "--threads", wrong, code=2)["error"]


def test_bench_and_profile(run):
    found = run("model.onnx", "--bench", "0.05", "--profile", "--images", "images.npy")
    for clock in ("cpu_us", "wall_us"):
        assert 0 < found["bench"][clock]["min"] <= found["bench"][clock]["median"]
    assert found["bench"]["runs"] > 1
    assert [node["name"] for node in found["profile"]["nodes"]][:2] == ["input", "first"]
    assert all(node["kernel"] and node["wall_us"] >= 0 for node in found["profile"]["nodes"])
    assert 100 < found["profile"]["megahertz"] < 10_000
    peaks = found["profile"]["peaks"]
    expected = set() if expected_kernel_sets()[0] == "portable" else {"bits", "lookup", "bytes", "real"}
    assert set(peaks) == expected
    assert all(1000 < peak < 1_000_000 for peak in peaks.values())


def test_bench_of_batches_on_one_core(run, folder):
    """Every run is in the file; the numbers that are printed are those of the file."""
    core = max(os.sched_getaffinity(0))
    words = ("--bench", "0", "--runs", "7", "--batch", "3", "--samples", "samples.npy", "--cpu", str(core))
    bench = run("model.onnx", *words)["bench"]
    assert (bench["batch"], bench["runs"]) == (3, 7) and bench["warm_up_runs"] >= 10
    assert bench["load_us"] > 0 and 1e5 < bench["peak_bytes"] < 1e8 and 0.1 < bench["yardstick_us"] < 1000
    samples = np.load(folder / "samples.npy")
    assert samples.shape == (7, 2) and samples.dtype == np.uint64
    for column, clock in enumerate(("cpu_us", "wall_us")):
        times = samples[:, column] / 1000
        assert [bench[clock]["min"], bench[clock]["median"]] == pytest.approx([times.min(), np.median(times)], abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "bnnt-run MODEL.onnx"),
        (("missing.onnx",), "cannot read missing.onnx: no such file"),
        ((".",), "cannot read .: a folder, not a file"),
        (("images.npy",), "images.npy: not an ONNX file, or a truncated one"),
        (("model.onnx", "--golden"), "--golden wants a value"),
        (("model.onnx", "--golden", "nowhere"), "cannot read nowhere/images.npy: no such file"),
        (("model.onnx", "--fast"), "unknown argument '--fast'"),
        (("model.onnx", "--bench", "soon"), "--bench wants seconds, at most 3600, not 'soon'"),
        (("model.onnx", "--bench", "99999999999999999999"), "--bench wants seconds"),
        (("model.onnx", "--bench", "1", "--runs", "0"), "--runs wants a number from 1 to 1000000, not '0'"),
        (("model.onnx", "--bench", "1", "--batch", "4097"), "--batch wants a number from 1 to 4096, not '4097'"),
        (("model.onnx", "--bench", "1", "--batch", "-1"), "--batch wants a number from 1 to 4096, not '-1'"),
        (("model.onnx", "--bench", "1", "--cpu", "99999999999999999999"), "--cpu wants a number from 0 to 4095"),
        (("model.onnx", "--bench", "1", "--cpu", "4095"), "--cpu 4095: this process may not run on that core"),
        (("model.onnx", "--bench", "0", "--samples", "no/a.npy"), "cannot write no/a.npy: no such file"),
        (("model.onnx", "--samples", "a.npy"), "--runs, --batch and --samples go with --bench"),
        (("model.onnx", "--logits", "a.npy"), "--logits and --digests go with --images"),
        (("model.onnx", "--kernels", "sse"), "there is no kernel set 'sse'"),
        (("model.onnx", "--images", "logits.npy"), "logits.npy: not a C-ordered array of type |u1 and rank 4"),
        (("model.onnx", "--images", "model.onnx"), "model.onnx: not a .npy file"),
        (("model.onnx", "--images", "images.npy", "--logits", "no/a.npy"), "cannot write no/a.npy: no such file"),
    ],
)
def test_wrong_usage_ends_with_one_message(run, arguments, message):
    assert message in run(*arguments, code=2)["error"]


def test_images_of_another_size(run, folder):
    np.save(folder / "small.npy", np.zeros((1, 9, 6, 3), np.uint8))
    error = run("model.onnx", "--images", "small.npy", code=2)["error"]
    assert "images are [9, 6, 3], the model takes [9, 7, 3]" in error


def test_truncated_files(run, folder):
    model = (folder / "model.onnx").read_bytes()
    array = (folder / "images.npy").read_bytes()
    for keep in (0, 1, 5, 11, 12, 40, 100, len(array) - 1):
        (folder / "short.npy").write_bytes(array[:keep])
        assert "short.npy" in run("model.onnx", "--images", "short.npy", code=2)["error"]
    for keep in range(0, len(model), 97):
        (folder / "short.onnx").write_bytes(model[:keep])
        assert run("short.onnx", code=2)["error"].startswith("short.onnx: ")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': True, 'shape': (4, 9, 7, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 9, 7, 3, 1), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 9, 7, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 9, 7",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4, 9, 7, 3), }",
    ],
)
def test_headers_that_are_not_ours(run, folder, header):
    data = np.load(folder / "images.npy").tobytes()
    text = header.encode() + b"\n"
    (folder / "odd.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
    assert "odd.npy" in run("model.onnx", "--images", "odd.npy", code=2)["error"]


def test_golden_vectors_of_another_model(run, folder):
    np.save(folder / "digests.npy", np.zeros((4, 2), np.uint64))
    assert "belong to other images or another model" in run("model.onnx", "--golden", ".", code=2)["error"]
