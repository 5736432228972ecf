"""The code in README.md runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.runtime.export import export_bundle
from bnn_toolchain.runtime.targets.target import host_target
from tests.runtime.networks import labelled, small_graph

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

BEFORE = """
#include <stdio.h>
#include <stdlib.h>
static int fail(const char *text) { fprintf(stderr, "%s\\n", text); return 1; }
static unsigned char model[1 << 20], pixels[1 << 16];
static float logits[4];
static size_t read_file(const char *name, size_t skip, void *to, size_t most) {
  FILE *file = fopen(name, "rb");
  fseek(file, (long)skip, SEEK_SET);
  size_t got = fread(to, 1, most, file);
  fclose(file);
  return got;
}
"""
MAIN = """
int main(int count, char **arguments) {
  (void)count;
  size_t model_bytes = read_file(arguments[1], 0, model, sizeof model);
  read_file(arguments[2], 128, pixels, 12 * 12); /* behind the header of a .npy file: the first image */
"""
AFTER = """
  for (int i = 0; i < 4; i++) printf("%.9g\\n", logits[i]);
  free(memory);
  return 0;
}
"""


def block(language):
    (code,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return code


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    graph = small_graph()
    export_bundle(graph, folder / "bundle", test=labelled(graph, 20, 0), targets=[host_target()])
    return folder


def test_python(work):
    done = subprocess.run([sys.executable, "-c", block("python")], cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert " µs" in done.stdout


def test_c(work, tmp_path):
    include, body = block("c").split("\n", 1)
    (tmp_path / "program.c").write_text(BEFORE + include.replace("#include", "\n#include") + MAIN + body + AFTER)
    target = work / "bundle" / "targets" / f"{host_target().arch}-{host_target().cpu}"
    program = tmp_path / "program"
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "program.c",
        "-I",
        str(target),
        str(target / "libbnnt.so"),
        "-o",
        str(program),
    ]
    compiled = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    golden = work / "bundle" / "golden"
    arguments = [str(program), str(work / "bundle" / "model.onnx"), str(golden / "images.npy")]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(target)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.array(done.stdout.split(), np.float32), np.load(golden / "logits.npy")[0])
