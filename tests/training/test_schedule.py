import math
from itertools import pairwise

import pytest
from pydantic import ValidationError

from bnn_toolchain.training.schedule import Schedule, factor


def factors(schedule, steps, lr=1e-2):
    return [factor(schedule, lr, step, steps, epoch=0) for step in range(steps)]


def test_exponential_decay_has_one_ratio_and_ends_at_its_end():
    found = factors(Schedule(kind="exponential", lr_final=1e-4), 101)
    assert found[0] == 1 and math.isclose(found[50], 0.1) and math.isclose(found[100], 0.01)
    ratios = [after / before for before, after in pairwise(found)]
    assert max(ratios) - min(ratios) < 1e-12


def test_cosine_is_slow_at_both_ends():
    found = factors(Schedule(kind="cosine", lr_final=2e-3), 101)
    assert found[0] == 1 and math.isclose(found[100], 0.2) and math.isclose(found[50], 0.6)
    assert math.isclose(found[25], 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2)


def test_steps_go_by_epochs():
    schedule = Schedule(kind="step", every=2, factor=0.5)
    assert [factor(schedule, 1.0, 0, 1, epoch) for epoch in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_constant_and_a_single_step():
    assert factors(Schedule(), 3) == [1, 1, 1]
    assert factors(Schedule(kind="exponential", lr_final=1e-4), 1) == [1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "exponential"}, "lr_final belongs to"),
        ({"kind": "constant", "lr_final": 0.1}, "lr_final belongs to"),
        ({"kind": "step", "every": 2}, "every and factor belong to"),
        ({"kind": "cosine", "lr_final": 0.1, "every": 2}, "every and factor belong to"),
        ({"kind": "step", "every": 2, "factor": 1.5}, "less than 1"),
        ({"kind": "linear"}, "'constant'"),
    ],
)
def test_contradictions(fields, message):
    with pytest.raises(ValidationError, match=message):
        Schedule(**fields)
