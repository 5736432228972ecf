import math
from itertools import pairwise

import torch

from bnn_toolchain.training.config import Optimizer, Schedule
from bnn_toolchain.training.losses import loss_of, squared_hinge
from bnn_toolchain.training.optimizers import learning_rate


def test_squared_hinge_by_hand():
    logits = torch.tensor([[2.0, -0.5], [0.25, 0.0]])
    labels = torch.tensor([0, 1])
    # targets +1 -1 / -1 +1; margins 1 - ty: -1 -> 0, 0.5 / 1.25, 1
    expected = (0 + 0.25 + 1.5625 + 1.0) / 4
    assert squared_hinge(logits, labels).item() == expected


def test_cross_entropy_by_hand():
    loss = loss_of("cross_entropy", torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1]))
    assert math.isclose(loss.item(), -math.log(0.75), rel_tol=1e-6)


def test_rates_start_and_end_where_they_should():
    adam, decay = Optimizer(lr=1e-2), Schedule(kind="exponential", lr_final=1e-4)
    rates = [learning_rate(adam, decay, step, 101) for step in range(101)]
    assert math.isclose(rates[0], 1e-2) and math.isclose(rates[50], 1e-3) and math.isclose(rates[100], 1e-4)
    ratios = [after / before for before, after in pairwise(rates)]
    assert max(ratios) - min(ratios) < 1e-12
    assert learning_rate(adam, Schedule(), 7, 10) == 1e-2
    assert learning_rate(adam, decay, 0, 1) == 1e-2
