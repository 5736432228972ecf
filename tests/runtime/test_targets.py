"""The native engine as it ships: the same bundle, its program on this machine and on an emulated ARM CPU."""

import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from bnn_toolchain.errors import BadAnswer, CheckFailed, FileFormatError, UsageError
from bnn_toolchain.runtime.bundle.arrays import write_array
from bnn_toolchain.runtime.bundle.format import open_bundle
from bnn_toolchain.runtime.checks.validate import Contender, validate
from bnn_toolchain.runtime.contenders import bundle_contender, check_golden_there, program_for, target_for
from bnn_toolchain.runtime.devices.local import Local
from bnn_toolchain.runtime.devices.qemu import QEMU, Qemu, find_qemu
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.native.printed import read_printed
from bnn_toolchain.runtime.engines.native.program import ProgramSession
from bnn_toolchain.runtime.export import export_bundle
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import Target, host_target, oldest_target
from tests.runtime.networks import labelled, small_graph
from tests.tools import needs_qemu

GRAPH = small_graph()
TEST = labelled(GRAPH, 150, wrong=30)
ARM, NEWER = Target("arm64", "cortex-a53"), Target("arm64", "cortex-a76")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    out = tmp_path_factory.mktemp("targets") / "bundle"
    return export_bundle(GRAPH, out, test=TEST, targets=[host_target(), ARM])


def test_every_target_is_complete(bundle):
    assert [Target(t.arch, t.cpu) for t in bundle.manifest.targets] == [host_target(), ARM]
    for target in bundle.manifest.targets:
        folder = bundle.path / target.folder
        assert sorted(p.name for p in folder.iterdir()) == ["bnnt-run", "bnnt.h", "libbnnt.so"]
        machine = {"x86_64": 0x3E, "arm64": 0xB7}[target.arch]
        for name in ("bnnt-run", "libbnnt.so"):
            head = (folder / name).read_bytes()[:20]
            assert head[:4] == b"\x7fELF" and int.from_bytes(head[18:20], "little") == machine
        assert (folder / "bnnt-run").stat().st_mode & 0o111 == 0o111


def test_this_machines_program_checks_the_golden_vectors(bundle):
    host = bundle.manifest.targets[0]
    program, golden = bundle.path / host.folder / "bnnt-run", bundle.path / "golden"
    done = subprocess.run([program, bundle.path / "model.onnx", "--golden", golden], capture_output=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["golden"]
    assert (said["images"], said["logits_equal"], said["hidden_equal"]) == (100, 100, 100)


@needs_qemu
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72"])
def test_native_on_an_emulated_cpu(bundle, cpu):
    contender = bundle_contender(bundle, "native", find_qemu(cpu))
    report = validate(bundle.graph, [contender], TEST.images, TEST.labels)
    report.check()
    (row,) = report.rows
    assert (row.engine, row.device) == ("native", f"qemu:{cpu}")
    assert (row.images, row.predictions_equal, row.logits_equal, row.correct) == (150, 150, 150, 120)
    assert row.hidden_images == 100 and [layer.name for layer in row.hidden] == list(GRAPH.hidden_bits())
    assert row.contract == Contract(GRAPH.hidden_bits(), as_digests=True) and not row.hidden_missing


def test_a_target_for_a_newer_cpu_is_not_taken(tmp_path):
    newer = export_bundle(GRAPH, tmp_path / "b", test=TEST, targets=[Target("x86_64", "x86-64-v2"), NEWER])
    assert target_for(newer, Qemu(QEMU, "cortex-a53")) is None
    assert program_for(newer, Qemu(QEMU, "cortex-a53")) == build(oldest_target("arm64")).program
    assert target_for(newer, Qemu(QEMU, "neoverse-n1")).cpu == "cortex-a76"


def test_nothing_that_a_bundle_brings_is_run(bundle, tmp_path):
    """Not even where its manifest lists it."""
    forged = shutil.copytree(bundle.path, tmp_path / "bundle")
    name = f"{bundle.manifest.targets[1].folder}/bnnt-run"
    (forged / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    manifest = json.loads((forged / "manifest.json").read_text())
    data = (forged / name).read_bytes()
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (forged / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"bnnt-run is not what this installation builds for arm64 cortex-a53"):
        bundle_contender(open_bundle(forged), "native", Qemu(QEMU, "cortex-a53"))
    session = bundle_contender(bundle, "native", Qemu(QEMU, "cortex-a53")).session
    assert session.program == build(ARM).program and not (tmp_path / "was-run").exists()


@needs_qemu
def test_another_models_answers_are_found(bundle, tmp_path):
    other = export_bundle(small_graph(1), tmp_path / "other", test=labelled(small_graph(1), 20, wrong=0), targets=[ARM])
    contender = bundle_contender(other, "native", find_qemu("cortex-a53"))
    (row,) = validate(bundle.graph, [contender], TEST.images).rows
    assert row.hidden[0].name == GRAPH.hidden_bits()[0] and row.hidden[0].images_differing > 90
    assert any("the bits of" in failure for failure in row.failures)
    assert re.search(r"first: image 0, the digest of .*: expected \w{16}, found \w{16} \(kernel .*\)", row.failures[-1])


@needs_qemu
def test_golden_vectors_are_checked_there(bundle, tmp_path):
    contender = bundle_contender(bundle, "native", find_qemu("cortex-a53"))
    assert check_golden_there(bundle, contender) == "qemu:cortex-a53: all 100 golden images agree"
    other = export_bundle(small_graph(1), tmp_path / "other", test=labelled(small_graph(1), 20, wrong=0), targets=[ARM])
    contender = bundle_contender(other, "native", find_qemu("cortex-a53"))
    with pytest.raises(
        CheckFailed, match=r"of 100 golden images differ, first image 0: the digest of .*kernel bytes neon"
    ):
        check_golden_there(bundle, contender)


@pytest.mark.parametrize(
    ("logits", "digests", "words"),
    [
        (
            np.zeros((3, 5), np.float32),
            np.zeros((3, 4), np.uint64),
            r"logits\.npy holds <f4 \[3, 5\], not <f4 \[3, 4\]",
        ),
        (np.zeros((2, 4), np.float32), np.zeros((3, 4), np.uint64), r"holds <f4 \[2, 4\]"),
        (
            np.zeros((3, 4), np.float32),
            np.zeros((3, 2), np.uint64),
            r"digests\.npy holds <u8 \[3, 2\], not <u8 \[3, 4\]",
        ),
        (np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32), "digests.npy holds <f4"),
    ],
)
def test_what_a_device_sends_back_is_not_trusted(bundle, logits, digests, words):
    class Device(Qemu):
        def run(self, program, arguments, send, receive):
            write_array(receive["logits.npy"], logits)
            write_array(receive["digests.npy"], digests)
            return b'{"version": "0.1.0", "kernels": "neon", "images": 3}'

    session = ProgramSession(GRAPH, bundle.path / "model.onnx", bundle.path / "bnnt-run", Device(QEMU, "cortex-a53"))
    with pytest.raises(BadAnswer, match=words):
        validate(bundle.graph, [Contender("native", "a device", session)], TEST.images[:3])


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (b"", "printed what it never prints"),
        (b'{"version": "0.1.0"}', "kernels: Field required"),
        (b'{"version": "0.1.0", "kernels": "neon", "images": 2}', "ran other images than were sent"),
        (b'{"version": "0.1.0", "kernels": "neon", "images": 3, "more": 1}', "more: Extra inputs"),
        (b'{"version": "0.1.0", "kernels": "neon", "images": 3}', r"cannot read .*logits\.npy"),
    ],
)
def test_what_a_device_prints_is_not_trusted(bundle, printed, words):
    class Device(Qemu):
        def run(self, program, arguments, send, receive):
            return printed

    session = ProgramSession(GRAPH, bundle.path / "model.onnx", bundle.path / "bnnt-run", Device(QEMU, "cortex-a53"))
    with pytest.raises(BadAnswer, match=words):
        session.run(TEST.images[:3])


def test_all_that_the_program_prints_is_read(bundle):
    own = build(host_target()).program
    vectors = {name: bundle.path / "golden" / name for name in ("images.npy", "logits.npy", "digests.npy")}
    arguments = ["model.onnx", "--describe", "--images", "images.npy", "--golden", ".", "--bench", "0", "--profile"]
    printed = read_printed(Local().run(own, arguments, {"model.onnx": bundle.path / "model.onnx", **vectors}, {}))
    assert None not in printed.model_dump().values() and printed.images == printed.golden.images == 100
    assert printed.golden.hidden_equal == 100 and not any(layer.mismatches for layer in printed.golden.layers)
    assert [node.name for node in printed.nodes] == [node.name for node in printed.profile.nodes]


def test_a_bundle_is_read_again_after_a_target_was_damaged(bundle):
    program = bundle.path / bundle.manifest.targets[1].folder / "bnnt-run"
    data = program.read_bytes()
    program.write_bytes(data[:-1] + b"?")
    with pytest.raises(FileFormatError, match=f"{program} has changed since the export"):
        open_bundle(bundle.path)
    program.write_bytes(data)
    open_bundle(bundle.path)
