"""Each kernel alone, against plain loops, on every CPU that can be had here; what could not run is named."""

import re
import subprocess
from pathlib import Path

import pytest

from bnn_toolchain.runtime.targets.cache import build_kernel_programs
from bnn_toolchain.runtime.targets.compiler import SOURCES, library_sources
from bnn_toolchain.runtime.targets.target import Target, host_target
from tests.native.host import AVX512, AVX512BW
from tests.native.sanitized import compile_sanitized
from tests.tools import QEMU, QEMU_X86, needs_clang, needs_qemu, needs_qemu_x86

NEON = ("neon_inorder_dot", "neon_inorder", "neon_lookup", "neon_dot", "neon")
SETS = {"x86_64": ("avx512", "avx512bw", "avx2", "portable"), "arm64": (*NEON, "portable")}
NEEDS = {  # what the system must say that this CPU has, or a set is missing rightly
    "avx512": AVX512,
    "avx512bw": AVX512BW,
    "avx2": {"avx2"},
    **{name: {"asimd", "asimddp"} for name in ("neon_inorder_dot", "neon_lookup", "neon_dot")},
    **{name: {"asimd"} for name in ("neon_inorder", "neon")},
    "portable": set(),
}


def functions(*kernel_sets):
    """The functions of each set: ``portable`` has rows of sums for every convolution."""
    rest = ["products", "byte_products", "sums", "threshold", "maximum", "rows"]
    both = ["convolution", "narrow_convolution"]
    straight = {"portable": [], "avx512": both, "neon_lookup": both}
    return {name: ["disagreements", *straight.get(name, ["convolution"]), *rest] for name in kernel_sets}


def cpu_flags():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()[2:]}


def run(*command):
    """The functions that were found equal, by set, and the sets that were skipped."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    equal = {}
    lines = re.findall(r"^(\w+) (\w+) \(.*\): (?:(\d+) cases, equal|as (\w+))$", done.stdout, re.MULTILINE)
    for kernels, function, count, other in lines:
        assert int(count) > 100 if count else function in equal[other]  # the same function of a set that was tested
        equal.setdefault(kernels, []).append(function)
    return equal, re.findall(r"^(\w+) SKIPPED: this CPU does not run it$", done.stdout, re.MULTILINE)


def test_every_set_that_this_cpu_runs():
    target = host_target()
    equal, skipped = run(build_kernel_programs(target) / "kernel_test")
    here = [kernels for kernels in SETS[target.arch] if NEEDS[kernels] <= cpu_flags()]
    assert equal == functions(*here)
    assert sorted([*equal, *skipped]) == sorted(SETS[target.arch])


@needs_qemu
@pytest.mark.parametrize(
    ("cpu", "built_for"),
    [
        ("cortex-a53", "cortex-a53"),
        ("cortex-a76", "cortex-a55"),  # qemu 7 emulates no cortex-a55
        ("cortex-a72", "cortex-a72"),
        ("cortex-a76", "cortex-a76"),
        ("neoverse-n1", "neoverse-n1"),
        ("max", "generic"),
    ],
)
def test_every_arm_set_on_an_emulated_cpu(cpu, built_for):
    equal, skipped = run(QEMU, "-cpu", cpu, build_kernel_programs(Target("arm64", built_for)) / "kernel_test")
    dots = {"neon_inorder_dot", "neon_lookup", "neon_dot"}
    runs = [name for name in SETS["arm64"] if cpu not in ("cortex-a53", "cortex-a72") or name not in dots]
    assert equal == functions(*runs) and sorted([*equal, *skipped]) == sorted(SETS["arm64"])


@needs_qemu_x86
@pytest.mark.parametrize(("cpu", "runs"), [("Nehalem", ["portable"]), ("max", ["avx2", "portable"])])
def test_every_x86_set_that_an_emulator_has_and_the_names_of_the_others(cpu, runs):
    """qemu emulates no AVX-512, so those sets need a CPU that has it: see the first test."""
    program = build_kernel_programs(Target("x86_64", "x86-64-v2")) / "kernel_test"
    equal, skipped = run(QEMU_X86, "-cpu", cpu, program)
    assert equal == functions(*runs) and sorted([*runs, *skipped]) == sorted(SETS["x86_64"])


@needs_clang
def test_under_sanitizers(tmp_path):
    sources = [(SOURCES / "tests" / "kernel_test.cpp", ()), *library_sources(host_target())]
    equal, _ = run(compile_sanitized(sources, tmp_path))
    assert "portable" in equal and equal == functions(*equal)


@needs_clang
def test_the_pool_of_threads_under_the_thread_sanitizer(tmp_path):
    sources = (Path(__file__).parent / "pool.cpp", SOURCES / "host" / "pool.cpp")
    flags = ("-std=c++20", "-O1", "-g", "-fsanitize=thread", f"-I{SOURCES}")
    subprocess.run(["clang++", *flags, *sources, "-o", tmp_path / "pool", "-lpthread"], check=True, capture_output=True)
    done = subprocess.run([tmp_path / "pool"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stdout + done.stderr[-2000:]
