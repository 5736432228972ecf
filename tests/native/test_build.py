"""Building: for this machine, for arm64, for machines without an operating system; what the library then needs."""

import ctypes
import importlib.metadata
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.runtime.bundle.golden import make_golden, write_golden
from bnn_toolchain.runtime.engines.native.library import kernel_sets
from bnn_toolchain.runtime.targets import cache
from bnn_toolchain.runtime.targets import compiler as builder
from bnn_toolchain.runtime.targets.cache import build
from bnn_toolchain.runtime.targets.compiler import SOURCES, find_compiler, source_hash
from bnn_toolchain.runtime.targets.target import Target, host_target
from tests.converters.graphs import fused, images, mixed

from .elf import dynamic
from .host import expected_kernel_sets

ZIG = (sys.executable, "-m", "ziglang")
CORE = ("", "file", "model", "layer", "elementwise", "kernels", "kernels/portable")
# Sizes of 64 bits that a machine of 32 would cut, a case that a switch lacks, and the usual.
WARNINGS = ("-Werror", "-Wall", "-Wextra", "-Wswitch", "-Wshadow", "-Wconversion", "-Wshorten-64-to-32", "-Wcast-qual")
BARE = (
    ("thumb-freestanding-eabi", "cortex_m0"),
    ("thumb-freestanding-eabi", "cortex_m4"),
    ("wasm32-freestanding", "generic"),
)


def core_sources():
    return [source for folder in CORE for source in sorted((SOURCES / folder).glob("*.cpp"))]


@pytest.mark.parametrize(("triple", "cpu"), BARE)
def test_the_core_compiles_for_machines_without_an_operating_system(tmp_path, triple, cpu):
    def compile_one(source):
        made = tmp_path / f"{source.parent.name}-{source.stem}.o"
        flags = ("-std=c++20", "-Os", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off")
        command = [*ZIG, "c++", "-target", triple, f"-mcpu={cpu}", *flags, *WARNINGS, "-c", source, "-o", made]
        subprocess.run(command, check=True, capture_output=True)
        return made

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, core_sources()))
    assert len(objects) > 8
    assert all(made.stat().st_size > 0 for made in objects)


def test_the_core_includes_headers_of_the_compiler_alone():
    for path in [p for folder in CORE for p in (SOURCES / folder).glob("*.[ch]pp")]:
        included = set(re.findall(r"#include <(.*)>", path.read_text()))
        assert included <= {"stdint.h", "stddef.h", "immintrin.h", "arm_neon.h"}, path


# Every C library has these, Android's too, which has no bcmp. Nothing among them allocates but pthread_create, which
# bnnt_pool_open alone calls.
IMPORTS = {"memcpy", "memmove", "memset", "memcmp", "strlen", "clock_gettime", "pthread_create", "pthread_join"}
EXPORTS = {
    *("bnnt_open", "bnnt_describe", "bnnt_describe_node", "bnnt_run", "bnnt_abi"),
    *("bnnt_kernel_set", "bnnt_nanoseconds", "bnnt_version"),
    *("bnnt_pool_open", "bnnt_pool_threads", "bnnt_pool_for", "bnnt_pool_close"),
}
TARGETS = (
    *(host_target(), Target("x86_64", "x86-64-v2")),
    *(Target("arm64", cpu) for cpu in ("generic", "cortex-a53", "cortex-a72")),
)


@pytest.mark.parametrize("target", dict.fromkeys(TARGETS), ids=lambda target: f"{target.arch}-{target.cpu}")
def test_the_library_takes_eight_functions_of_any_c_library_and_gives_those_of_its_header(target):
    found = dynamic(build(target).library)
    assert found.imports <= IMPORTS
    assert found.exports == EXPORTS
    assert found.libraries == 0


def test_the_header_declares_what_the_library_gives():
    assert set(re.findall(r"BNNT_API .*?(bnnt_\w+)\(", (SOURCES / "bnnt.h").read_text())) == EXPORTS


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72"])
def test_the_arm64_library_is_small(cpu):
    made = build(Target("arm64", cpu))
    assert made.library.stat().st_size <= 150 * 1024
    assert made.library.read_bytes()[18:20] == (183).to_bytes(2, "little")  # EM_AARCH64
    assert made.header.read_bytes() == (SOURCES / "bnnt.h").read_bytes()


def test_the_version_is_that_of_the_package(here):
    library = ctypes.CDLL(str(here.library))
    library.bnnt_version.restype = ctypes.c_char_p
    assert library.bnnt_version().decode() == importlib.metadata.version("bnnt")


def test_this_cpu_gets_every_kernel_set_that_it_can_run_best_first():
    assert kernel_sets() == expected_kernel_sets()


def test_a_build_is_announced_once_and_survives_a_race(tmp_path, monkeypatch):
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path))
    lines = []
    with ThreadPoolExecutor(2) as pool:
        builds = list(pool.map(lambda _: build(host_target(), announce=lines.append), range(2)))
    assert builds[0] == builds[1]
    assert builds[0].library.parent.parent == tmp_path
    assert 1 <= len(lines) <= 2
    assert lines[0].startswith(f"building the native engine for {host_target().arch} ")
    build(host_target(), announce=lambda line: pytest.fail(line))
    assert sorted(path.name for path in tmp_path.iterdir()) == [builds[0].library.parent.name, "zig"]
    done = subprocess.run([builds[0].program], capture_output=True, text=True, check=False)
    assert done.returncode == 2


def test_a_build_depends_on_its_sources_alone(here, tmp_path, monkeypatch):
    """Not on where they or the cache lie: so a bundle's files can be compared with those of another installation."""
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "SOURCES", shutil.copytree(SOURCES, tmp_path / "sources"))
    again = build(host_target(), announce=lambda line: None)
    assert again.library != here.library
    assert again.library.read_bytes() == here.library.read_bytes()
    assert again.program.read_bytes() == here.program.read_bytes()


def test_a_build_that_the_installation_brings_needs_no_compiler(here, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PREBUILT", tmp_path)
    monkeypatch.setattr(builder.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path / "cache"))
    target = host_target()
    shutil.copytree(here.library.parent, tmp_path / f"{target.arch}-{target.cpu}-{source_hash()}")
    made = build(target, announce=lambda line: pytest.fail(line))
    assert made.library.is_relative_to(tmp_path) and made.library.read_bytes() == here.library.read_bytes()
    with pytest.raises(Unavailable, match="pip install ziglang"):
        build(Target("arm64", "cortex-a53"), announce=lambda line: None)


def test_another_compiler_serves(tmp_path, monkeypatch):
    compiler = next((name for name in ("g++", "clang++") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("neither g++ nor clang++ is here: apt install g++")
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", compiler)
    assert find_compiler() == (compiler,)
    made = build(host_target(), announce=lambda line: None)
    ctypes.CDLL(str(made.library))
    for make in (fused, mixed):
        rng = np.random.default_rng(0)
        graph = make(rng)
        (tmp_path / "model.onnx").write_bytes(to_bytes(graph))
        write_golden(make_golden(graph, images(rng, graph.spec, 3)), tmp_path)
        command = [made.program, tmp_path / "model.onnx", "--golden", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_a_compiler_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match="the C\\+\\+ compiler failed"):
        build(host_target(), ("false",), announce=lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_cpu_that_the_compiler_does_not_know(tmp_path, monkeypatch):
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="the compiler knows no arm64 CPU 'cortex-a99'"):
        build(Target("arm64", "cortex-a99"), announce=lambda line: None)


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unavailable, match="CXX is 'no-such-compiler'"):
        find_compiler()
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(builder.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="pip install ziglang"):
        find_compiler()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BNNT_CACHE", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="set BNNT_CACHE"):
        build(host_target(), announce=lambda line: None)
