"""Without most packages every command works, or ends with exit code 3 and the line that installs what it needs."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from bnn_toolchain.errors import Unavailable
from bnn_toolchain.packages import named_packages
from tests.cli.command import refused

FIVE = {  # numpy, onnx, typer, rich and pydantic, with what they need themselves
    *("numpy", "onnx", "google", "ml_dtypes", "typing_extensions", "typer", "click", "shellingham", "annotated_doc"),
    *("rich", "pygments", "markdown_it", "mdurl", "pydantic", "pydantic_core", "annotated_types", "typing_inspection"),
}
HIDING = """
import sys
from importlib.machinery import PathFinder

allowed = set(sys.argv.pop(1).split(","))

class Hiding:
    "Finds what Python itself and bnnt have, and of installed packages those that are allowed."

    @staticmethod
    def find_spec(name, path=None, target=None):
        found = PathFinder.find_spec(name, path, target)
        places = [] if found is None else [found.origin or "", *(found.submodule_search_locations or ())]
        hidden = any("site-packages" in place for place in places) and name.partition(".")[0] not in allowed
        return None if hidden else found

    @staticmethod
    def find_distributions(context):
        found = PathFinder.find_distributions(context)
        return (each for each in found if each.name in allowed | {"bnnt"})

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
from bnn_toolchain.cli import main
main()
"""


def bnnt_with(modules, *arguments, **environment):
    command = [sys.executable, "-c", HIDING, ",".join(modules), *map(str, arguments)]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "160"} | environment
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=600)


def works(process):
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("recipes", "mnist-mlp"),
        ("recipes digits", "model:"),
        ("inspect {bundle}", "No layer is left in float"),
        ("inspect {bundle}/model.onnx --json", "binary_macs"),
        ("validate {bundle} --engine reference", "100 of 100"),
        ("validate {bundle}/model.onnx --engine reference --samples 3", "3 of 3"),
    ],
)
def test_five_packages_do(work, arguments, words):
    assert words in works(bnnt_with(FIVE, *arguments.format(bundle=work / "bundle").split()))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("demo --out {out}", "pip install '"),
        ("train digits --out {out}", "pip install '"),
        ("plot {work}/run --out {out}", "pip install '"),
        ("study batch-size --out {out}", "pip install 'bnnt[study]'"),
        ("inspect {work}/run", "pip install '"),
        ("inspect {work}/model.tflite", "pip install 'bnnt[lce]'"),
        ("export {work}/run --out {out}", "pip install '"),
        ("export {work}/bundle/model.onnx --out {out}", "pip install ziglang"),
        ("export {work}/bundle/model.onnx --format onnx --out {out}", "pip install onnxruntime"),
        ("validate {work}/bundle", "pip install ziglang"),
        ("validate {work}/bundle --engine onnxruntime", "pip install onnxruntime"),
        ("validate {work}/bundle --engine torch", "pip install '"),
        ("validate {work}/model.tflite", "pip install 'bnnt[lce]'"),
        ("bench {work}/bundle", "pip install ziglang"),
        ("bench digits", "pip install '"),
        ("predict {work}/bundle {work}/image.png", "pip install 'pillow>=10.0'"),
    ],
)
def test_with_five_packages_the_rest_says_what_to_install(work, tmp_path, arguments, line):
    (work / "model.tflite").write_bytes(b"")
    Image.new("L", (28, 28)).save(work / "image.png")
    refused(bnnt_with(FIVE, *arguments.format(work=work, out=tmp_path / "out").split()), 3, line)
    assert not (tmp_path / "out").exists()


def test_doctor_says_it_all_with_its_brackets():
    process = bnnt_with(FIVE, "doctor")
    assert process.returncode == 3 and not process.stderr
    for line in ("pip install 'torch>=", "pip install 'bnnt[demo]'", "pip install 'bnnt[lce]'", "pip install ziglang"):
        assert line in process.stdout


def test_a_compiler_more_runs_the_native_engine_on_the_golden_vectors(work, tmp_path):
    process = bnnt_with({*FIVE, "ziglang"}, "validate", work / "bundle", "--json")
    (row,) = json.loads(works(process))
    assert (row["engine"], row["images"], row["images_exact"], row["correct"]) == ("native", 100, 100, None)
    assert "not installed: pip install '" in process.stderr and "comparing on the golden images" in process.stderr
    process = bnnt_with(
        {*FIVE, "ziglang", "onnxruntime"}, "export", work / "bundle/model.onnx", "--out", tmp_path / "b"
    )
    works(process)
    assert json.loads((tmp_path / "b/manifest.json").read_text())["versions"]["torch"] is None
    Image.new("L", (28, 28)).save(work / "image.png")
    works(bnnt_with({*FIVE, "ziglang", "PIL"}, "predict", work / "bundle", work / "image.png"))


def test_a_package_that_is_there_but_broken():
    broken = ImportError("libgomp.so.1: cannot open shared object file", name="torch._C")
    with pytest.raises(Unavailable) as caught, named_packages():
        raise broken
    assert str(caught.value) == (
        "torch is installed but cannot be imported (libgomp.so.1: cannot open shared object file): "
        "pip install 'torch>=2.10' --force-reinstall"
    )
    for error in (ImportError("no", name="bnn_toolchain.nothing"), ImportError("no")):
        with pytest.raises(ImportError, match="no"), named_packages():
            raise error
