"""Cycles of the ARM64 kernels by models of cores, llvm-mca's and for the Cortex-A53 GCC's: never a latency.

    python -m bnn_toolchain.runtime.comparison.arm

Whole calls are executed under qemu, whose plugin writes down every instruction; what was executed is then one straight
line of code for llvm-mca. Loads hit the first cache and no branch is mispredicted, so that the figures are an upper
bound. Wants qemu-aarch64 (qemu-user), llvm-mca-19 (llvm-19), a C compiler and aarch64-linux-gnu-objdump.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.runtime.comparison.arm import cortex_a53
from bnn_toolchain.runtime.targets.compiler import SOURCES, find_compiler

HERE = Path(__file__).parent
TOOLS = ("qemu-aarch64", "llvm-mca-19", "aarch64-linux-gnu-objdump", "cc")
FLAGS = (
    *("-target", "aarch64-linux-musl", "-std=c++20", "-O3", "-g0", "-DNDEBUG", "-ffp-contract=off", "-fno-exceptions"),
    *("-fno-rtti", "-fvisibility=hidden", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"),
)
SHAPES = ((56, 64), (28, 128), (14, 256))  # side, channels and outputs
FIRST_LAYER = 64  # outputs


@dataclass(frozen=True)
class Core:
    """A core, the kernel set that suits it, and how llvm-mca is told of it; without that GCC's Cortex-A53."""

    name: str
    convolver: str
    products: str
    model: tuple[str, ...]


CORES = (
    Core("cortex-a53, as GCC describes it", "neon::inorder", "neon", ()),
    Core("cortex-a53, as LLVM does", "neon::inorder", "neon", ("-mcpu=cortex-a53",)),
    Core("cortex-a55", "neon::inorder", "neon_dot", ("-mcpu=cortex-a55",)),
    Core("cortex-a72", "neon::wide", "neon", ("-mcpu=cortex-a72",)),
    # the core dispatches 4 instructions, which are up to 8 operations; LLVM 19 says 8
    *(
        Core(f"neoverse-n1, dispatch {width}", kernel, "neon_dot", ("-mcpu=neoverse-n1", f"-dispatch={width}"))
        for width in (8, 4)
        for kernel in ("neon::lookup", "neon::wide")
    ),
    Core("neoverse-v1", "neon::wide", "neon_dot", ("-mcpu=neoverse-v1",)),
)
LAYOUT = {"neon": (2, 32), "neon_dot": (4, 16)}  # values of a word and outputs of a block


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def executed(folder: Path, objects: Sequence[Path], defines: Sequence[str]) -> Iterator[str]:
    """The instructions of one call, in the order in which they were executed."""
    program = folder / "drive"
    compiler = find_compiler()
    made = folder / "drive.o"
    run(*compiler, *FLAGS, "-fno-builtin", f"-I{SOURCES}", *defines, "-c", HERE / "drive.cpp", "-o", made)
    run(*compiler, *FLAGS[:2], "-static", "-nostdlib", made, *objects, "-o", program)
    text, mark = {}, ""
    for line in run("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", program).splitlines():
        if found := re.match(r"^([0-9a-f]+) <.*4mark.*>:", line):
            mark = found[1]
        elif found := re.match(r"^\s*([0-9a-f]+):\s+(.*?)\s*(?://.*)?$", line):
            text[int(found[1], 16)] = found[2]
    trace = folder / "trace"
    plugin = f"{folder / 'libtrace.so'},out={trace},mark={mark}"
    run("qemu-aarch64", "-cpu", "max", "-plugin", plugin, program)
    for address in trace.read_text().split():
        instruction = re.sub(r"\b[0-9a-f]+ <[^>]*>", ".Lx", text[int(address, 16)])
        if not instruction.startswith(("adr", "bl", "ret", "svc")):
            yield instruction


def cycles(instructions: Sequence[str], model: Sequence[str], folder: Path) -> int:
    """Of these instructions once, one behind the other."""
    if not model:
        return cortex_a53.cycles(instructions)
    source = folder / "straight.s"
    source.write_text(".Lx:\n" + "\n".join(instructions) + "\n")
    words = ("-mtriple=aarch64", *model, "-mattr=+dotprod", "-iterations=1", "--instruction-info=0")
    found = re.search(r"Total Cycles:\s+(\d+)", run("llvm-mca-19", *words, "--resource-pressure=0", source))
    assert found is not None
    return int(found[1])


def main() -> None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        sys.exit(f"error: {', '.join(missing)} not found: apt install qemu-user llvm-19 binutils-aarch64-linux-gnu gcc")
    with tempfile.TemporaryDirectory(prefix="bnnt-") as name:
        folder = Path(name)
        run("cc", "-shared", "-fPIC", "-O2", HERE / "trace.c", "-o", folder / "libtrace.so")
        objects = []
        for part in ("kernels/neon/*.cpp", "kernels/neon_dot/*.cpp", "layer/gather.cpp"):
            for source in sorted(SOURCES.glob(part)):
                made = folder / f"{source.parent.name}-{source.stem}.o"
                run(*find_compiler(), *FLAGS, "-mcpu=generic", "-c", source, "-o", made)
                objects.append(made)
        print("MAC a cycle by models, upper bounds (llvm-mca 19). Whole calls: expanded, counted, thresholds packed;")
        print("two rows in the middle of a 3x3 convolution to as many outputs as channels; a row of a first layer of")
        print(f"3 bytes a pixel to {FIRST_LAYER} outputs.")
        shapes = [f"{side}x{channels}" for side, channels in SHAPES]
        print(f"| core | kernel | {' | '.join(shapes)} | first layer | instructions |\n|{'---|' * (4 + len(shapes))}")
        for core in CORES:
            cells, count = [], 0
            for side, channels in SHAPES:
                size = (f"-DSIDE={side}", f"-DCHANNELS={channels}", f"-DOUTPUTS={channels}")
                code = list(executed(folder, objects, ("-DCONVOLUTION", f"-DKERNEL={core.convolver}", *size)))
                macs = 2 * side * 9 * channels * channels
                cells.append(f"{macs / cycles(code, core.model, folder):.1f}")
                count = len(code)
            values, block = LAYOUT[core.products]
            layer = ("-DSIDE=32", "-DCHANNELS=24", f"-DOUTPUTS={FIRST_LAYER}", f"-DVALUES={values}", f"-DBLOCK={block}")
            code = list(executed(folder, objects, (f"-DKERNEL={core.products}::products", *layer)))
            cells.append(f"{32 * 27 * FIRST_LAYER / cycles(code, core.model, folder):.1f}")
            print(f"| {core.name} | {core.convolver}, {core.products} | {' | '.join(cells)} | {count:,} |", flush=True)


if __name__ == "__main__":
    main()
