"""The kernels that this machine should run by what its system says of the CPU, not by what the engine says."""

import platform
import re
from pathlib import Path

AVX512BW = {"avx512f", "avx512dq", "avx512bw", "avx512vl"}
AVX512 = {*AVX512BW, "avx512_vnni", "avx512_vpopcntdq"}
ARM64 = ("aarch64", "arm64")


def expected_kernel_sets() -> tuple[str, ...]:
    """The kernel sets of this CPU, best first; all of ARM64 has NEON."""
    if platform.machine() in ARM64:
        return ("neon", "portable")
    flags = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    wider = {"avx512": flags >= AVX512, "avx512bw": flags >= AVX512BW, "avx2": "avx2" in flags}
    return (*(name for name, here in wider.items() if here), "portable")


# The kernel that takes a convolution of bits straight to its result.
DIRECT = {"avx512": "direct avx512", "avx512bw": "lookup avx512bw", "avx2": "lookup avx2"}


def kernel(method: str, kernel_set: str) -> str:
    """The kernel of a method in a set: some sets use the kernels of another one, and NEON's are those that count bits."""
    if method == "direct":
        return DIRECT.get(kernel_set, f"bits {kernel_set}")
    if kernel_set == "neon" and method in ("bytes", "real"):
        return f"{method} portable"
    if kernel_set == "avx512bw":
        return f"{method} avx2"
    return f"{method} {kernel_set}"


def integers_method(one_pixel: bool, weights: int, kernel_set: str) -> str:
    """How integers of 8 bits are multiplied: as bytes, or, in a dense layer of so many weights that reading them as bytes
    would take longer, as bit planes."""
    return "planes" if one_pixel and weights > 1 << 18 and kernel_set not in ("avx2", "avx512bw") else "bytes"
