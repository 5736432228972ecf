"""Compile the native engine for a target.

Every source is compiled apart and then linked with one fixed line: zig builds a target's runtime libraries again for
every distinct link line. Nothing of a C library is linked in: ``libbnnt.so`` leaves memcpy, memset, clock_gettime and
their like to the process that loads it, so one file runs with glibc, musl and bionic; ``bnnt-run`` is static and talks
to Linux itself.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.files import cache_folder
from bnn_toolchain.runtime.targets.target import Arch, Target

SOURCES = Path(__file__).parents[1] / "native"
HEADER = SOURCES / "bnnt.h"
TESTS = SOURCES / "tests"


@dataclass(frozen=True)
class _Folder:
    """Sources that are compiled alike."""

    path: str
    flags: tuple[str, ...] = ()


_AVX2 = ("-mavx2", "-mtune=haswell")  # tuned for older CPUs, an unaligned load would be two
_AVX512BW = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=512")
_AVX512 = (*_AVX512BW, "-mavx512vnni", "-mavx512vpopcntdq", "-mavx512vbmi", "-mgfni")
_ROLLED = ("-fno-unroll-loops",)  # for an in-order CPU compilers unroll the loader to twice its size
_SMALL = ("-Os",)  # what runs once
_COMMON = (
    *(_Folder(path, _SMALL) for path in (".", "file", "model")),
    *(_Folder(path, _ROLLED) for path in ("layer", "elementwise")),
    *(_Folder(path) for path in ("kernels", "kernels/portable", "host")),
)
_LIBRARY: dict[Arch, tuple[_Folder, ...]] = {
    "x86_64": (
        *(*_COMMON, _Folder("kernels/lookup"), _Folder("kernels/avx2", _AVX2)),
        *(_Folder("kernels/avx512bw", _AVX512BW), _Folder("kernels/avx512", _AVX512)),
    ),
    "arm64": (*_COMMON, _Folder("kernels/neon"), _Folder("kernels/neon_dot")),
}
_PROGRAM = "program"

# No contraction of a product and a sum into one rounding: the order and the roundings of real sums are fixed. No memcmp
# made a bcmp, which Android's C library lacks.
_COMPILE = (
    *("-std=c++20", "-O3", "-g0", "-DNDEBUG", "-fPIC", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti"),
    *("-fvisibility=hidden", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-builtin-bcmp"),
    *("-Wall", "-Wextra"),
)
_LINK_LIBRARY = ("-shared", "-nostdlib", "-Wl,-soname,libbnnt.so", "-Wl,--gc-sections", "-s")
_LINK_PROGRAM = ("-static", "-nostdlib", "-Wl,--gc-sections", "-s")
_LINK_TESTS = ("-static", "-nostdlib++", "-Wl,--gc-sections", "-s")  # with the C library


def find_compiler() -> tuple[str, ...]:
    """The C++ compiler's command: the environment variable CXX if it is set, else the one in the package ziglang.

    Raises:
        Unavailable: CXX names no program, or there is neither.
    """
    chosen = shlex.split(os.environ.get("CXX", ""))
    if chosen:
        if shutil.which(chosen[0]) is None:
            raise Unavailable(f"CXX is '{os.environ['CXX']}', but there is no such program: set it right or unset it")
        return tuple(chosen)
    if importlib.util.find_spec("ziglang") is None:
        raise Unavailable(
            "no C++ compiler for the native engine: pip install ziglang, or set CXX to a compiler for the target"
        )
    return (sys.executable, "-m", "ziglang", "c++")


def library_sources(target: Target) -> list[tuple[Path, tuple[str, ...]]]:
    """The sources of the library, each with the flags that its kernels need besides the target's."""
    return [
        (source, folder.flags)
        for folder in _LIBRARY[target.arch]
        for source in sorted((SOURCES / folder.path).glob("*.cpp"))
    ]


def _cpu_flag(target: Target, command: tuple[str, ...]) -> str:
    if _is_zig(command):
        return f"-mcpu={target.cpu.replace('-', '_')}"
    return f"-march={target.cpu}" if target.arch == "x86_64" else f"-mcpu={target.cpu}"


def _zig_target(target: Target, command: tuple[str, ...]) -> tuple[str, ...]:
    """Another compiler is made for its target, or CXX names it."""
    arch = "aarch64" if target.arch == "arm64" else target.arch
    return ("-target", f"{arch}-linux-musl") if _is_zig(command) else ()


def _is_zig(command: tuple[str, ...]) -> bool:
    return "ziglang" in command or Path(command[0]).name == "zig"


def source_hash() -> str:
    """A hash of the engine's sources."""
    return _hash_of(path for path in SOURCES.rglob("*") if TESTS not in path.parents)


def build_hash(target: Target, command: tuple[str, ...]) -> str:
    """A hash of all that decides what :func:`compile_engine` makes."""
    version = importlib.metadata.version("ziglang") if "ziglang" in command else _run((*command, "--version"))
    settings = (target, command, version, _COMPILE, _LINK_LIBRARY, _LINK_PROGRAM, _LIBRARY, source_hash())
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def kernel_programs_hash(target: Target, command: tuple[str, ...]) -> str:
    """A hash of all that decides what :func:`compile_kernel_programs` makes."""
    settings = (build_hash(target, command), _LINK_TESTS, _hash_of(TESTS.rglob("*")))
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def _hash_of(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.suffix in (".h", ".hpp", ".cpp")):
        digest.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _peak_sources(target: Target) -> list[tuple[Path, tuple[str, ...]]]:
    """The loops on registers of each kernel set, with the set's flags."""
    return [
        (source, folder.flags)
        for folder in _LIBRARY[target.arch]
        for source in (SOURCES / _PROGRAM).glob(f"peaks/{Path(folder.path).name}.cpp")
    ]


def compile_engine(target: Target, command: tuple[str, ...], objects: Path, done: Path) -> None:
    """Make ``libbnnt.so`` and ``bnnt-run`` in the folder ``done``; ``objects`` is for what that takes.

    Raises:
        Unavailable: the compiler fails.
        UsageError: it does not know the CPU.
    """
    compiler = (*command, *_zig_target(target, command))
    library = library_sources(target)
    program = [(source, _ROLLED) for source in sorted((SOURCES / _PROGRAM).glob("*.cpp"))]
    made = _compile(target, command, [*library, *program, *_peak_sources(target)], objects)
    _run((*compiler, *_LINK_LIBRARY, *made[: len(library)], "-o", str(done / "libbnnt.so")))
    _run((*compiler, *_LINK_PROGRAM, *made, "-o", str(done / "bnnt-run")))


def compile_kernel_programs(target: Target, command: tuple[str, ...], objects: Path, done: Path) -> None:
    """Make ``kernel_test`` and ``kernel_bench``, static programs of the library's own objects, in the folder ``done``.

    Raises:
        As :func:`compile_engine`.
    """
    compiler = (*command, *_zig_target(target, command))
    programs = sorted(TESTS.glob("*.cpp"))
    sources = [*library_sources(target), *_peak_sources(target), *((source, ()) for source in programs)]
    made = _compile(target, command, sources, objects)
    shared = made[: -len(programs)]
    for source, program in zip(programs, made[-len(programs) :], strict=True):
        _run((*compiler, *_LINK_TESTS, *shared, program, "-o", str(done / source.stem)))


def _compile(
    target: Target, command: tuple[str, ...], sources: Sequence[tuple[Path, tuple[str, ...]]], objects: Path
) -> list[str]:
    """The objects of ``sources``, each compiled with its own flags besides the target's."""
    compiler = (*command, *_zig_target(target, command), _cpu_flag(target, command), *_COMPILE)

    def one(source: Path, flags: tuple[str, ...]) -> str:
        made = objects / ("-".join(source.relative_to(SOURCES).with_suffix(".o").parts))
        _run((*compiler, *flags, "-c", str(source), "-o", str(made)))
        return str(made)

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [future.result() for future in [pool.submit(one, *source) for source in sources]]
    except Unavailable as error:
        raise _unknown_cpu(target, command) or error from error


def _environment() -> dict[str, str]:
    zig = str(cache_folder() / "zig")
    return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": zig, "ZIG_LOCAL_CACHE_DIR": zig}


def _unknown_cpu(target: Target, command: tuple[str, ...]) -> UsageError | None:
    """The error of a mistyped CPU: the compiler takes an empty file without it, and not with it."""

    def takes(*flags: str) -> bool:
        empty = (*command, *_zig_target(target, command), *flags, "-E", "-x", "c++", os.devnull)
        return subprocess.run(empty, capture_output=True, env=_environment(), check=False).returncode == 0

    if not takes() or takes(_cpu_flag(target, command)):
        return None
    examples = "cortex-a53, cortex-a72 or neoverse-n1" if target.arch == "arm64" else "x86-64-v2 or haswell"
    return UsageError(f"the compiler knows no {target.arch} CPU '{target.cpu}': name one like {examples}")


def _run(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    except OSError as error:
        raise Unavailable(f"cannot start the C++ compiler {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        remedy = "" if _is_zig(command) else "\nunset CXX to build with ziglang"
        raise Unavailable(
            f"the C++ compiler failed ({done.returncode}): {shlex.join(command)}\n{done.stderr.strip()[:2000]}{remedy}"
        )
    return done.stdout
