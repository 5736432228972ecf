"""The kernels that this machine should run by what its system says of the CPU, not by what the engine says."""

import platform
import re
from pathlib import Path

AVX512BW = {"avx512f", "avx512dq", "avx512bw", "avx512vl"}
AVX512 = {*AVX512BW, "avx512_vnni", "avx512_vpopcntdq", "avx512vbmi", "gfni"}
ARM64 = ("aarch64", "arm64")


def expected_kernel_sets() -> tuple[str, ...]:
    """The kernel sets of this CPU, best first; all of ARM64 has NEON."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    if platform.machine() in ARM64:
        dots = "asimddp" in cpuinfo
        every = ("neon_inorder_dot", "neon_inorder", "neon_lookup", "neon_dot", "neon", "portable")
        return tuple(name for name in every if dots or name in ("neon_inorder", "neon", "portable"))
    flags = set(re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)[1].split())
    wider = {"avx512": flags >= AVX512, "avx512bw": flags >= AVX512BW, "avx2": "avx2" in flags}
    return (*(name for name, here in wider.items() if here), "portable")


# The kernels that take a convolution of bits straight to its result, each with the outputs from which on it serves.
DIRECT = {
    "avx512": (("lookup avx512", 128), ("direct avx512", 1)),
    "avx512bw": (("lookup avx512bw", 1),),
    "avx2": (("lookup avx2", 1),),
    "portable": (("bits portable", 1),),
    "neon_inorder_dot": (("direct neon_inorder", 1),),
    "neon_inorder": (("direct neon_inorder", 1),),
    "neon_lookup": (("lookup neon", 64), ("direct neon", 1)),
    "neon_dot": (("direct neon", 1),),
    "neon": (("direct neon", 1),),
}


def kernel(method: str, kernel_set: str, outputs: int = 1) -> str:
    """The kernel of a method in a set for a layer with so many outputs in a group: some sets use the kernels of
    others."""
    if method == "direct":
        return next(name for name, least in DIRECT[kernel_set] if outputs >= least)
    if kernel_set == "avx512bw":
        return f"{method} avx2"
    if kernel_set.startswith("neon"):
        dots = "neon_dot" if kernel_set in ("neon_inorder_dot", "neon_lookup", "neon_dot") else "neon"
        return {"real": "real portable", "bytes": f"bytes {dots}"}.get(method, f"{method} neon")
    return f"{method} {kernel_set}"


def integers_method(one_pixel: bool, weights: int, kernel_set: str) -> str:
    """How integers of 8 bits are multiplied: as bytes; in a dense layer with so many weights that it takes longer to
    read them as bytes, as bit planes."""
    return "planes" if one_pixel and weights > 1 << 18 and kernel_set not in ("avx2", "avx512bw") else "bytes"
