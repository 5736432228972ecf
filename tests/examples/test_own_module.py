import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bnn_toolchain.data.config import Mnist5k
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.runtime.bundle.format import open_bundle
from tests.cli.command import bnnt, refused

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_module.py"


def test_an_own_module_on_a_folder_of_images(tmp_path):
    digits = load_splits(Mnist5k(source="mnist5k")).train
    for label, name in enumerate(("zero", "one", "two")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in np.flatnonzero(digits.labels == label)[:120]:
            Image.fromarray(digits.images[index, :, :, 0]).save(tmp_path / "images" / name / f"{index}.png")
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "images"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    bundle = open_bundle(tmp_path / "out" / "bundle")
    trained, exported = (line.split()[3].rstrip(",") for line in done.stdout.splitlines() if "test accuracy" in line)
    assert trained == exported
    assert bundle.manifest.accuracy.value > 0.8
    assert bundle.manifest.input.classes == ("one", "two", "zero")

    process = bnnt("validate", tmp_path / "out" / "bundle", "--module", f"{EXAMPLE}:network", "--json")
    assert process.returncode == 0, process.stderr
    native, trained = json.loads(process.stdout)
    assert (native["engine"], trained["engine"]) == ("native", "torch")
    assert trained["images_exact"] == trained["images"] > 0
    assert {"sign", "conv_sign"} <= {layer["name"] for layer in trained["hidden"]}
    process = bnnt("validate", tmp_path / "out" / "bundle")
    assert process.returncode == 0 and "torch, the trained module itself, is left out" in process.stderr
    refused(bnnt("validate", tmp_path / "out" / "bundle", "--module", f"{EXAMPLE}:TwoPaths"), 2, "InputSpec alone")
