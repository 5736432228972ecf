"""Cycles of code on a Cortex-A53 as GCC's description of its pipeline has it; LLVM's has one NEON operation a cycle.

Two instructions start in a cycle, in order. An operation on 128 bits of NEON wants the first of the two places and the
whole unit, one on 64 bits half of it. A load of 128 bits starts alone and keeps the first place and the way to memory
for one more cycle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What an instruction keeps busy."""

    ALU = auto()
    NEON_HALF = auto()
    NEON_WHOLE = auto()
    LOAD = auto()
    LOAD_WIDE = auto()
    STORE = auto()
    STORE_WIDE = auto()


@dataclass(frozen=True)
class Instruction:
    """One instruction; a register is written after so many cycles."""

    kind: Kind
    reads: tuple[str, ...]
    writes: tuple[tuple[str, int], ...]


NEON, MEMORY, MEMORY_WIDE, MULTIPLY, STEP = 4, 3, 4, 3, 1  # cycles until others can read it
FLAGS = "flags"
SETS_FLAGS = ("subs", "adds", "ands", "cmp", "cmn", "tst", "ccmp")
READS_FLAGS = ("csel", "cset", "csetm", "csinc", "csneg", "csinv", "cinc", "ccmp", "adc", "sbc")
NO_RESULT = ("cmp", "cmn", "tst", "ccmp", "ccmn")
ADDS_TO_RESULT = re.compile(r"[su]dot|f?ml[as]|[su]ml[as]l|[su]adalp|[su]r?sra|[su]abal?$|bsl|bit|bif|ins|s[lr]i$|tbx")


def parse(line: str) -> Instruction:
    """One line of a disassembly without its address."""
    op = line.split()[0]
    operands = line.strip()[len(op) :]
    address = operands[operands.index("[") :] if op.startswith(("ld", "st")) and "[" in operands else ""
    names = _registers(operands[: len(operands) - len(address)])
    base = _registers(address)
    moved = [(name, STEP) for name in base[:1]] if "]!" in address or "], " in address else []
    vector = re.match(r"\s*\{?\s*[vqdshb]\d", operands) is not None
    wide = re.search(r"\.(16b|8h|4s|2d)\b|\bq\d", operands) is not None
    if op.startswith("ld"):
        whole = vector and wide and op != "ld1r"
        latency = MEMORY_WIDE if whole else MEMORY
        return Instruction(
            Kind.LOAD_WIDE if whole else Kind.LOAD, tuple(base), (*((name, latency) for name in names), *moved)
        )
    if op.startswith("st"):
        return Instruction(Kind.STORE_WIDE if wide or op == "stp" else Kind.STORE, (*names, *base), tuple(moved))
    if (op.startswith(("b.", "cb", "tb")) and not vector) or op in ("b", "br", "blr", "ret"):
        return Instruction(Kind.ALU, (*names, FLAGS) if op.startswith("b.") else tuple(names), ())
    if vector or re.search(r"\b[vqdshb]\d", operands):
        lane = op in ("mov", "ins") and "[" in operands.split(",")[0]
        reads = names if lane or ADDS_TO_RESULT.match(op) else names[1:]
        kind = Kind.NEON_WHOLE if (wide and not lane) or op == "dup" else Kind.NEON_HALF
        return Instruction(kind, tuple(reads), ((names[0], NEON),) if names else ())
    written = [] if op in NO_RESULT else names[:1]
    latency = MULTIPLY if op.startswith(("mul", "madd", "umull", "smull", "umaddl", "smaddl")) else STEP
    reads = names if op in NO_RESULT else names[1:]
    return Instruction(
        Kind.ALU,
        (*reads, FLAGS) if op in READS_FLAGS else tuple(reads),
        (*((name, latency) for name in written), *([(FLAGS, STEP)] if op in SETS_FLAGS else [])),
    )


def _registers(text: str) -> list[str]:
    """The registers of ``text`` in order, each by the name of the whole one."""
    found = re.findall(r"\b([vqdshbxw])(\d+)\b|\b(sp)\b", text)
    return [stack or ("x" if kind in "xw" else "v") + number for kind, number, stack in found]


def cycles(lines: Sequence[str]) -> int:
    """Of these instructions once, one behind the other; loads hit the first cache."""
    ready: dict[str, int] = {}
    now, first, second, neon = 0, False, False, 0  # what is taken in this cycle; neon: halves
    first_kept = memory_kept = -1  # the cycles until which these are taken, too
    for line in lines:
        it = parse(line)
        start = max([now, *(ready.get(name, 0) for name in it.reads)])
        while True:
            if start > now:
                now, first, second, neon = start, start <= first_kept, False, 0
            if _starts(it.kind, first, second, neon, now > memory_kept):
                break
            start = now + 1
        match it.kind:
            case Kind.NEON_WHOLE:
                first, neon = True, 2
            case Kind.LOAD_WIDE:
                first = second = True
                first_kept = memory_kept = now + 1
            case kind:
                first, second = first or second, True
                neon += kind is Kind.NEON_HALF
                if kind in (Kind.LOAD, Kind.STORE):
                    memory_kept = now
                elif kind is Kind.STORE_WIDE:
                    first_kept = memory_kept = now + 1
        for name, latency in it.writes:
            ready[name] = now + latency
    return now + 1


def _starts(kind: Kind, first: bool, second: bool, neon: int, memory: bool) -> bool:
    """Whether there is room for an instruction where those places and halves are taken."""
    match kind:
        case Kind.NEON_WHOLE:
            return not first and neon == 0
        case Kind.NEON_HALF:
            return not (first and second) and neon < 2
        case Kind.LOAD_WIDE:
            return not first and not second and memory
        case Kind.LOAD | Kind.STORE | Kind.STORE_WIDE:
            return not (first and second) and memory
        case Kind.ALU:
            return not (first and second)
