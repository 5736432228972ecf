"""The model of a Cortex-A53 on code whose cycles can be counted by hand."""

import pytest

from bnn_toolchain.runtime.comparison.arm.cortex_a53 import cycles


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (["add x0, x1, x2"] * 4, 2),  # two a cycle
        (["add x0, x0, x2", "add x0, x0, x2", "add x0, x0, x2"], 3),  # each waits for the one before
        ([f"eor v{n}.16b, v16.16b, v17.16b" for n in range(8)], 8),  # the whole unit
        ([f"eor v{n}.8b, v16.8b, v17.8b" for n in range(8)], 4),  # half of it
        (["cnt v0.16b, v1.16b", "add v2.16b, v2.16b, v0.16b"], 5),
        (["cnt v0.16b, v1.16b", "add x0, x0, #4"], 1),  # the second place is free
        (["add x0, x0, #4", "cnt v0.16b, v1.16b"], 1),  # as it is if the other one came first
        (["ldr q0, [x0]", "add x1, x1, #4"], 2),  # alone
        (["ldr q0, [x0]", "cnt v1.16b, v2.16b"], 3),  # the first place is kept
        (["ldr q0, [x0]", "ldr q1, [x0, #16]"], 3),  # so is the way to memory
        (["ld1r {v0.4s}, [x0], #4", "cnt v1.16b, v2.16b"], 1),
        (["ld1r {v0.4s}, [x0], #4", "add x0, x0, #4"], 2),  # the address is there at once, what is loaded not
        (["ld1r {v0.4s}, [x0], #4", "cnt v0.16b, v0.16b"], 4),
        (["ldr x1, [x0]", "ldr x2, [x3]"], 2),
        (["subs x0, x0, #1", "b.ne 40"], 2),
        (["udot v0.4s, v1.16b, v2.16b", "udot v0.4s, v1.16b, v2.16b"], 5),  # reads what it writes
        (["add v0.4s, v1.4s, v2.4s", "add v0.4s, v1.4s, v2.4s"], 2),
        (["stp q0, q1, [x0], #32", "stp q2, q3, [x0], #32"], 3),
        (["fmov x0, d1", "add x0, x0, #1"], 5),
    ],
)
def test_cycles(code, expected):
    assert cycles(code) == expected
