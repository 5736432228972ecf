"""Which ARM CPU runs a build for which other."""

from __future__ import annotations

GENERIC = "generic"
ARMV8_0 = frozenset({"cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a73"})
ARMV8_2 = frozenset(  # atomics, half floats and dot products besides
    {"cortex-a55", "cortex-a75", "cortex-a76", "cortex-a77", "cortex-a78", "neoverse-n1"}
)
WIDER = frozenset({"cortex-a510", "cortex-a710", "neoverse-n2", "neoverse-v1", "max"})  # "max" is qemu's


def runs(cpu: str, built_for: str) -> bool:
    """Whether ``cpu`` has every instruction of a build for ``built_for``; False where this table does not know."""
    if built_for in (GENERIC, cpu):
        return True
    if built_for in ARMV8_0:
        return cpu in ARMV8_0 | ARMV8_2 | WIDER | {"a64fx"}
    return built_for in ARMV8_2 and cpu in ARMV8_2 | WIDER
