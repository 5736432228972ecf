import math

import torch

from bnn_toolchain.training.losses import distilled, loss_of, squared_hinge


def test_squared_hinge_by_hand():
    logits = torch.tensor([[2.0, -0.5], [0.25, 0.0]])
    labels = torch.tensor([0, 1])
    # targets +1 -1 / -1 +1; margins 1 - ty: -1 -> 0, 0.5 / 1.25, 1
    expected = (0 + 0.25 + 1.5625 + 1.0) / 4
    assert squared_hinge(logits, labels).item() == expected


def test_cross_entropy_by_hand():
    loss = loss_of("cross_entropy", torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1]))
    assert math.isclose(loss.item(), -math.log(0.75), rel_tol=1e-6)


def test_distillation_by_hand():
    logits, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2 * math.log(3.0)]])
    # at temperature 2 the teacher says 1/4, 3/4 and the student 1/2, 1/2
    divergence = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    loss = distilled(torch.tensor(10.0), logits, teacher, weight=0.25, temperature=2.0)
    assert math.isclose(loss.item(), 0.75 * 10 + 0.25 * 4 * divergence, rel_tol=1e-6)
    assert distilled(torch.tensor(1.0), teacher, teacher, weight=1.0, temperature=3.0).item() == 0
