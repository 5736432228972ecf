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


PARTS = {  # of ARM itself, implementer 0x41, as /proc/cpuinfo and MIDR_EL1 number them
    0xD03: "cortex-a53",
    0xD04: "cortex-a35",
    0xD05: "cortex-a55",
    0xD07: "cortex-a57",
    0xD08: "cortex-a72",
    0xD09: "cortex-a73",
    0xD0A: "cortex-a75",
    0xD0B: "cortex-a76",
    0xD0C: "neoverse-n1",
    0xD0D: "cortex-a77",
    0xD40: "neoverse-v1",
    0xD41: "cortex-a78",
    0xD44: "cortex-x1",
    0xD46: "cortex-a510",
    0xD47: "cortex-a710",
    0xD48: "cortex-x2",
    0xD49: "neoverse-n2",
    0xD4F: "neoverse-v2",
}
ARM = 0x41


def core_name(implementer: int, part: int) -> str:
    """What compilers call a core, or its two numbers where this table does not know it."""
    known = PARTS.get(part) if implementer == ARM else None
    return known or f"implementer 0x{implementer:02x} part 0x{part:03x}"


def oldest(cores: list[str]) -> str:
    """The name to choose a build by, on a machine of such ``cores``: a build that runs on each of them."""
    if not cores or not all(core in ARMV8_0 | ARMV8_2 | WIDER for core in cores):
        return GENERIC
    return next(core for family in (ARMV8_0, ARMV8_2, WIDER) for core in cores if core in family)
