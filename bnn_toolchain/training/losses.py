"""What training minimises."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def squared_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """mean over images and classes of max(0, 1 - t·y)², t = +1 for the image's class and -1 for the others.

    The loss of BinaryConnect and of Binarized Neural Networks (Courbariaux et al. 2015, section 3).

    Args:
        logits: y, float [N, classes].
        labels: int64 [N].
    """
    targets = torch.full_like(logits, -1.0).scatter_(1, labels[:, None], 1.0)
    return torch.clamp(1.0 - targets * logits, min=0.0).square().mean()


def loss_of(kind: Literal["squared_hinge", "cross_entropy"], logits: Tensor, labels: Tensor) -> Tensor:
    """The loss by its name in a recipe, a scalar."""
    match kind:
        case "squared_hinge":
            return squared_hinge(logits, labels)
        case "cross_entropy":
            return functional.cross_entropy(logits, labels)


def distilled(loss: Tensor, logits: Tensor, teacher: Tensor, weight: float, temperature: float) -> Tensor:
    """(1 - w) loss + w T² KL(softmax(teacher / T) || softmax(logits / T)), the mean over images.

    Hinton, Vinyals, Dean 2015, Distilling the Knowledge in a Neural Network, section 2.

    Args:
        loss: the loss by the labels.
        logits, teacher: float [N, classes].
    """
    softened = functional.log_softmax(logits / temperature, 1)
    wanted = functional.log_softmax(teacher / temperature, 1)
    divergence = functional.kl_div(softened, wanted, reduction="batchmean", log_target=True)
    return (1 - weight) * loss + weight * temperature**2 * divergence
