"""Random networks from PyTorch, lowered: native gives every hidden bit and every logit of the reference, here and on
emulated ARM CPUs."""

import json
import subprocess

import numpy as np
import pytest
import torch

from bnn_toolchain.converters.graph.ops import BinaryConv2d, BinaryConv2dThreshold, Threshold
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.runtime.bundle.golden import make_golden, write_golden
from bnn_toolchain.runtime.engines.native.library import load
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.target import Target
from tests.converters.graphs import fused, mixed
from tests.tools import QEMU, needs_qemu

from .agree import bits_of_pixels, graph, images, signs
from .host import expected_kernel_sets
from .test_random_graphs import random_graph

NETWORKS = 304
SHARES = 8
CPUS = ("cortex-a53", "cortex-a72")


@pytest.fixture(scope="module")
def networks(tmp_path_factory, lowered):
    """One folder a network: model.onnx and golden vectors."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("networks")
    folders = [root / str(seed) for seed in range(NETWORKS)]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        graph = lowered(seed)
        pixels = np.random.default_rng(seed).integers(0, 256, (3, *graph.spec.shape), dtype=np.uint8)
        pixels[0] = 255 * (seed % 2)
        (folder / "model.onnx").write_bytes(to_bytes(graph))
        write_golden(make_golden(graph, pixels), folder)
    return folders


def check(command, folder):
    done = subprocess.run(
        [*command, folder / "model.onnx", "--golden", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["golden"]


@pytest.mark.parametrize("share", range(SHARES))
def test_every_hidden_bit_and_logit(networks, here, share):
    hidden = 0
    for folder in networks[share::SHARES]:
        for name in expected_kernel_sets():
            golden = check([here.program, "--kernels", name], folder)
            assert golden["images"] == golden["logits_equal"] == golden["hidden_equal"] == 3
            hidden += len(golden["layers"])
    assert hidden > NETWORKS // SHARES


@needs_qemu
@pytest.mark.parametrize("cpu", CPUS)
def test_emulated_arm_gives_the_same(networks, cpu):
    program = build(Target("arm64", cpu)).program
    for folder in networks[CPUS.index(cpu) :: 2]:
        golden = check([QEMU, "-cpu", cpu, program], folder)  # the kernel set that it chooses
        assert golden["images"] == golden["logits_equal"] == golden["hidden_equal"] == 3
    for folder in networks[CPUS.index(cpu) :: 16]:
        golden = check([QEMU, "-cpu", cpu, program, "--kernels", "portable", "--threads", "2"], folder)
        assert golden["images"] == golden["logits_equal"] == golden["hidden_equal"] == 3


@needs_qemu
@pytest.mark.parametrize("cpu", CPUS)
def test_emulated_arm_sums_reals_in_the_same_order(tmp_path, cpu):
    program = build(Target("arm64", cpu)).program
    for seed in range(30):
        graph = mixed(np.random.default_rng(seed)) if seed % 3 == 0 else random_graph(seed)
        pixels = np.random.default_rng(seed).integers(0, 256, (2, *graph.spec.shape), dtype=np.uint8)
        (tmp_path / "model.onnx").write_bytes(to_bytes(graph))
        write_golden(make_golden(graph, pixels), tmp_path)
        assert check([QEMU, "-cpu", cpu, program], tmp_path)["logits_equal"] == 2


@needs_qemu
@pytest.mark.parametrize("cpu", CPUS)
def test_emulated_arm_chooses_the_kernels_for_neon(tmp_path, cpu):
    (tmp_path / "model.onnx").write_bytes(to_bytes(fused(np.random.default_rng(0))))
    command = [QEMU, "-cpu", cpu, build(Target("arm64", cpu)).program, tmp_path / "model.onnx", "--describe"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    kernels = {node["name"]: node["kernel"] for node in found["nodes"]}
    assert found["kernels"] == {"cortex-a53": "neon_inorder", "cortex-a72": "neon"}[cpu]
    assert (kernels["first"], kernels["second"]) == ("bytes neon", "bits neon")  # of 6 channels: no whole words


@needs_qemu
@pytest.mark.parametrize(
    ("cpu", "chosen", "kernels"),
    [
        ("cortex-a72", "neon", {"direct neon"}),
        ("cortex-a76", "neon_lookup", {"direct neon", "lookup neon"}),  # few outputs, and many
        ("neoverse-n1", "neon_lookup", {"direct neon", "lookup neon"}),
        ("max", "neon_dot", {"direct neon"}),
    ],
)
def test_one_program_chooses_by_the_core_and_gives_the_same(tmp_path, cpu, chosen, kernels):
    rng, shape = np.random.default_rng(0), (9, 7, 64)
    many = BinaryConv2d(signs(rng, 96, 3, 3, 64), 64, pads=(1, 1, 1, 1), pad_value=0)
    few = BinaryConv2d(signs(rng, 32, 3, 3, 96), 96, pads=(1, 1, 1, 1), pad_value=1)
    threshold = Threshold(rng.integers(-9, 9, 96, dtype=np.int32), rng.random(96) < 0.5)
    network = graph(shape, *bits_of_pixels(64), BinaryConv2dThreshold(many, threshold), few)
    (tmp_path / "model.onnx").write_bytes(to_bytes(network))
    write_golden(make_golden(network, images(rng, shape, "random")), tmp_path)
    command = [QEMU, "-cpu", cpu, build(Target("arm64", "generic")).program]
    done = subprocess.run([*command, tmp_path / "model.onnx", "--describe"], capture_output=True, check=True)
    found = json.loads(done.stdout)
    convolutions = {node["kernel"] for node in found["nodes"] if node["op"].startswith("BinaryConv2d")}
    assert (found["kernels"], convolutions) == (chosen, kernels)
    golden = check(command, tmp_path)
    assert golden["images"] == golden["logits_equal"] == golden["hidden_equal"] == 2


def test_the_library_gives_what_the_program_gives(networks):
    for folder in networks[::20]:
        logits = np.load(folder / "logits.npy")
        images = np.load(folder / "images.npy")
        for name in expected_kernel_sets():
            np.testing.assert_array_equal(load((folder / "model.onnx").read_bytes(), name).run(images), logits)
