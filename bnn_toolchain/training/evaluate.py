"""What a model answers, always in fp32 and in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import Sign

BATCH = 500


@dataclass(frozen=True)
class Evaluation:
    """Accuracy, 0 to 1, and the share of +1 outputs of each :class:`Sign` by its path."""

    accuracy: float
    positive_shares: dict[str, float]


def normalised(pixels: Tensor, spec: InputSpec) -> Tensor:
    """What the network sees: uint8 [N, H, W, C] to float32 [N, C, H, W], (pixel - offset) * scale.

    The result lies in memory as the pixels do, channels last, which convolutions prefer.
    """
    scale = torch.tensor(spec.scale, device=pixels.device)
    offset = torch.tensor(spec.offset, device=pixels.device)
    return pixels.to(torch.float32).sub_(offset).mul_(scale).permute(0, 3, 1, 2)


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, labels: Tensor, spec: InputSpec) -> Evaluation:
    """Accuracy on uint8 ``images`` [N, H, W, C] with int64 ``labels`` [N]; both on the model's device.

    The model comes back in the mode that it was in.
    """
    counts: dict[str, tuple[int, int]] = {}

    def count(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            positive, all_outputs = counts.get(name, (0, 0))
            counts[name] = positive + int(torch.count_nonzero(output > 0)), all_outputs + output.numel()

        return hook

    hooks = [m.register_forward_hook(count(name)) for name, m in model.named_modules() if isinstance(m, Sign)]
    mode = model.training
    model.eval()
    try:
        right = 0
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            logits = model(normalised(images[part], spec))
            right += int(torch.count_nonzero(logits.argmax(1) == labels[part]))
    finally:
        model.train(mode)
        for hook in hooks:
            hook.remove()
    return Evaluation(right / len(images), {name: positive / every for name, (positive, every) in counts.items()})
