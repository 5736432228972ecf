"""The examples for devices: built and run as far as a machine without the hardware can."""

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.runtime.devices.qemu import QEMU
from tests.cli.command import bnnt
from tests.lce import foreign
from tests.native.elf import dynamic
from tests.runtime.board import start_board, stop_board
from tests.tools import needs, needs_qemu, needs_sshd

EXAMPLES = Path(__file__).parents[2] / "examples"
SYSROOT = Path("/usr/aarch64-linux-gnu")
STB = Path("/usr/include/stb/stb_image.h")
JNI = Path("/usr/include/android/nativehelper/jni.h")
ZIG = f"{sys.executable} -m ziglang cc -target"
needs_sysroot = pytest.mark.skipif(
    not (SYSROOT / "lib" / "ld-linux-aarch64.so.1").exists(), reason="no arm64 libc: apt install libc6-arm64-cross"
)
needs_stb = pytest.mark.skipif(not STB.exists(), reason="stb_image.h is not here: apt install libstb-dev")
needs_coreutils = needs("dirname", "coreutils")
needs_jni = pytest.mark.skipif(not JNI.exists(), reason="jni.h is not here: apt install android-libnativehelper-dev")


def commands(readme):
    """The lines of a README's blocks that a user types."""
    fences = readme.read_text(encoding="utf-8").split("```")[1::2]
    return [line for fence in fences if fence.startswith("\n") for line in fence.strip().splitlines()]


def type_in(line, folder, **environment):
    """Run a line of bnnt's; what it prints to a file goes there."""
    words = shlex.split(line)
    assert words[0] == "bnnt"
    target = words[words.index(">") + 1] if ">" in words else None
    arguments = words[1 : words.index(">")] if target else words[1:]
    process = bnnt(*arguments, cwd=folder, **environment)
    assert process.returncode == 0, f"{line}\n{process.stdout}{process.stderr}"
    if target:
        (folder / target).write_text(process.stdout)
    return process.stdout


@needs_sshd
@needs_qemu
def test_raspberry_pi(tmp_path):
    """Each line as it stands, but fewer epochs; the board is an ssh server here, with an emulated CPU in front."""
    lines = commands(EXAMPLES / "raspberry-pi" / "README.md")
    assert len(lines) == 9
    board = start_board(tmp_path / "board")
    try:
        board.name("pi", runner=f"{QEMU} -cpu cortex-a72")
        for line in lines:
            fewer = " --set stages.0.epochs=1 --set stages.1.epochs=1" if line.startswith("bnnt train") else ""
            said = type_in(line + fewer, tmp_path, **board.environment)
            if line == "bnnt validate digits --on pi":
                assert "1000 of 1000" in said
        assert json.loads((tmp_path / "pi.json").read_text())["machine"]["emulated"]
        assert "emulated on" in (tmp_path / "report.html").read_text()
        assert not board.work.exists() and not board.sessions()
    finally:
        stop_board(board)


@needs_qemu
@needs_sysroot
@needs_stb
def test_c_app(bundle, pictures, tmp_path):
    paths, logits = pictures
    make = ["make", "-s", "-C", EXAMPLES / "c-app", f"BUNDLE={bundle.path}", "TARGET=arm64-generic", f"OUT={tmp_path}"]
    subprocess.run([*make, f"CC={ZIG} aarch64-linux-gnu.2.17"], check=True)

    def classify(*arguments):
        command = [QEMU, "-cpu", "cortex-a72", "-L", SYSROOT, tmp_path / "classify", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    for path, expected in zip(paths, logits, strict=True):
        done = classify(tmp_path / "model.onnx", path)
        assert done.returncode == 0, done.stderr
        name = bundle.graph.spec.classes[expected.argmax()]
        assert done.stdout == f"{name} (logit {expected.max():.4f}, kernels neon)\n"
    assert classify().returncode == 2
    for arguments, words in (
        ((tmp_path / "none.onnx", paths[0]), "cannot use"),
        ((paths[0], paths[0]), "cannot use"),
        ((tmp_path / "model.onnx", tmp_path / "none.png"), "none.png"),
        ((tmp_path / "model.onnx", EXAMPLES / "README.md"), "README.md"),
    ):
        done = classify(*arguments)
        assert done.returncode == 2 and words in done.stderr


def test_camera(bundle, pictures):
    script = EXAMPLES / "camera" / "labels.py"
    images, logits = bundle.golden.images[:8], pictures[1]
    command = [sys.executable, script, bundle.path / "model.onnx"]
    done = subprocess.run(command, input=images.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    classes = bundle.graph.spec.classes
    assert [(row[0], row[1]) for row in rows] == [
        (str(i), classes[best]) for i, best in enumerate(logits.argmax(axis=1))
    ]
    cut = subprocess.run(command, input=images.tobytes()[:-1], capture_output=True)
    assert cut.returncode == 1 and b"the last frame has 143 of 144 bytes" in cut.stderr and cut.stdout.count(b"\n") == 7


def test_the_service_starts_what_the_readme_says():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(EXAMPLES / "camera" / "bnnt-labels.service")
    assert {"Unit", "Service", "Install"} == set(unit.sections())
    shell, option, line = shlex.split(unit["Service"]["ExecStart"])
    assert (shell, option) == ("/bin/sh", "-c") and line.endswith("venv/bin/python labels.py model.onnx")
    subprocess.run(["sh", "-n", "-c", line], check=True)
    (typed,) = commands(EXAMPLES / "camera" / "README.md")
    assert typed.split(" | ")[0].split()[:5] == line.split(" | ")[0].split()[:5]


@needs_qemu
def test_from_larq(tmp_path):
    file = foreign.network(np.random.default_rng(0))
    file.operators.pop()  # the softmax, which only the reference runs
    file.tensors.pop()
    (tmp_path / "model.tflite").write_bytes(file.data())
    lines = commands(EXAMPLES / "from-larq" / "README.md")
    assert len(lines) == 4
    for line in lines:
        if " bench " not in line:
            type_in(line.replace("--on pi", "--on qemu:cortex-a72"), tmp_path)


@pytest.fixture(scope="module")
def android(bundle, tmp_path_factory):
    """The two libraries, built for Android."""
    folder = tmp_path_factory.mktemp("android")
    command = [EXAMPLES / "android-jni" / "build.sh", bundle.path, "arm64-generic", folder]
    subprocess.run(command, check=True, env=os.environ | {"CC": f"{ZIG} aarch64-linux-android"})
    return folder


@needs_jni
@needs_coreutils
def test_android_libraries_ask_for_each_other_alone(android):
    """Nothing of a C library but what bnnt.h names, so that any version of Android has it."""
    own = dynamic(android / "libbnnt_jni.so")
    assert own.libraries == 1 and own.imports == {"bnnt_open", "bnnt_describe", "bnnt_run"}
    assert own.exports == {f"Java_org_bnnt_Bnnt_{name}" for name in ("open", "describe", "run")}
    engine = dynamic(android / "libbnnt.so")
    assert engine.libraries == 0 and own.imports <= engine.exports
    assert engine.imports <= {
        *("memcpy", "memmove", "memset", "memcmp", "strlen", "clock_gettime", "pthread_create", "pthread_join")
    }


@needs_jni
@needs_qemu
@needs_sysroot
def test_android_source_runs(bundle, pictures, tmp_path):
    """The same source, built for arm64 Linux, beside a stand-in for the JVM."""
    target = bundle.path / "targets" / "arm64-generic"
    sources = [EXAMPLES / "android-jni" / "bnnt_jni.c", Path(__file__).with_name("jvm.c")]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-isystem", JNI.parent, f"-I{target}", f"-L{target}", "-lbnnt"]
    command = [
        *f"{ZIG} aarch64-linux-gnu.2.17".split(),
        *sources,
        *flags,
        f"-Wl,-rpath,{target}",
        "-o",
        tmp_path / "jvm",
    ]
    subprocess.run(command, check=True)
    (tmp_path / "pixels").write_bytes(bundle.golden.images[:8].tobytes())
    run = [QEMU, "-L", SYSROOT, tmp_path / "jvm"]
    done = subprocess.run(
        [*run, bundle.path / "model.onnx", tmp_path / "pixels", tmp_path / "logits"], capture_output=True
    )
    logits = np.frombuffer((tmp_path / "logits").read_bytes(), np.float32).reshape(8, -1)
    assert logits.tobytes() == pictures[1].tobytes()
    assert done.returncode == 1 and b"IllegalArgumentException: pixels and logits must be direct buffers" in done.stderr
    done = subprocess.run([*run, tmp_path / "pixels", tmp_path / "pixels", tmp_path / "logits"], capture_output=True)
    assert done.returncode == 1 and b"IllegalArgumentException: not an ONNX file" in done.stderr


def test_kotlin_declares_what_the_library_defines():
    kotlin = (EXAMPLES / "android-jni" / "Bnnt.kt").read_text()
    defined = (EXAMPLES / "android-jni" / "bnnt_jni.c").read_text()
    declared = re.findall(r"external fun (\w+)\(([^)]*)\)", kotlin)
    kinds = {"ByteBuffer": "jobject", "ByteBuffer?": "jobject", "Long": "jlong", "Int": "jint"}
    kinds |= {"LongArray": "jlongArray", "IntArray": "jintArray"}
    assert len(declared) == 3
    for name, parameters in declared:
        wanted = [kinds[parameter.split(": ")[1]] for parameter in parameters.split(", ")]
        found = re.search(rf"Java_org_bnnt_Bnnt_{name}\(([^)]*)\)", defined)[1]
        assert [word.split()[0] for word in " ".join(found.split()).split(", ")][2:] == wanted, name
