"""The kernels that this machine should run by what its system says of the CPU, not by what the engine says."""

import platform
import re
from pathlib import Path

AVX512 = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_vpopcntdq"}
ARM64 = ("aarch64", "arm64")


def expected_kernel_sets() -> tuple[str, ...]:
    """The kernel sets of this CPU, best first; all of ARM64 has NEON."""
    if platform.machine() in ARM64:
        return ("neon", "portable")
    flags = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    wider = {"avx512": flags >= AVX512, "avx2": "avx2" in flags}
    return (*(name for name, here in wider.items() if here), "portable")


def kernel(method: str, kernel_set: str) -> str:
    """The kernel of a method in a set: of ARM64's kernels those that count bits are written for NEON."""
    if kernel_set == "neon" and method in ("narrow", "real"):
        return f"{method} portable"
    return f"{method} {kernel_set}"
