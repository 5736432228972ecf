"""Which CPU runs which build, held to what the compiler may use for each."""

import re
import subprocess
import sys
from functools import cache

import pytest

from bnn_toolchain.runtime.targets.arm import ARMV8_0, ARMV8_2, GENERIC, WIDER, runs

KNOWN = sorted({GENERIC, "a64fx"} | ARMV8_0 | ARMV8_2 | WIDER - {"max"})
BY_HAND = {"AES", "SHA2", "CRYPTO"}  # a compiler uses these only where a program calls them by name


@cache
def features(cpu):
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "c++",
        "-target",
        "aarch64-linux-musl",
        f"-mcpu={cpu.replace('-', '_')}",
    ]
    done = subprocess.run([*command, "-dM", "-E", "-x", "c++", "/dev/null"], capture_output=True, text=True, check=True)
    return set(re.findall(r"#define __ARM_FEATURE_(\w+)", done.stdout)) - BY_HAND


@pytest.mark.parametrize("cpu", KNOWN)
def test_a_cpu_runs_no_build_with_instructions_that_it_lacks(cpu):
    taken = [built_for for built_for in KNOWN if runs(cpu, built_for)]
    assert {GENERIC, cpu} <= set(taken)
    assert all(features(built_for) <= features(cpu) for built_for in taken)
    older = [other for other in KNOWN if features(other) <= features(cpu) and other in ARMV8_0 | ARMV8_2]
    assert set(older) <= set(taken)


def test_what_is_not_known_is_not_taken():
    assert runs("max", "cortex-a76") and runs("cortex-a76", "neoverse-n1")
    for cpu, built_for in (("cortex-a53", "cortex-a76"), ("cortex-a76", "neoverse-v1"), ("new", "cortex-a53")):
        assert not runs(cpu, built_for)
    assert runs("new", "new") and runs("new", GENERIC) and not runs("cortex-a76", "new")
