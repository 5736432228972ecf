"""Programs under AddressSanitizer and UBSan."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bnn_toolchain.runtime.targets.target import host_target

OLDEST = {"x86_64": "x86-64-v2", "arm64": "armv8-a"}  # the CPUs that the library is built for
SANITIZED = (
    *("clang++", "-std=c++20", "-O1", "-g", f"-march={OLDEST[host_target().arch]}", "-ffp-contract=off"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)


def compile_sanitized(sources: list[tuple[Path, tuple[str, ...]]], folder: Path) -> Path:
    """The program of ``sources``, each with its own flags; skips the test where clang++ has no sanitizers."""
    empty = [*SANITIZED, "-x", "c++", "-", "-o", folder / "empty"]
    if subprocess.run(empty, input=b"int main() {}", capture_output=True).returncode:
        pytest.skip("clang++ has no sanitizers here: apt install libclang-rt-dev")

    def compile_one(source: Path, flags: tuple[str, ...]) -> str:
        made = folder / ("-".join(source.parts[-3:]) + ".o")
        subprocess.run([*SANITIZED, *flags, "-c", source, "-o", made], check=True)
        return str(made)

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(lambda job: compile_one(*job), sources))
    program = folder / "program"
    subprocess.run([*SANITIZED, *objects, "-o", program], check=True)
    return program
