"""How fast training steps are, against the obvious PyTorch code for the same network.

    python -m bnn_toolchain.training.step_benchmark [--threads 1] [--steps 20] [--compile]

Each side computes the same: forward, squared hinge, backward, Adam, latent clip. The obvious code binarizes with
torch.where and masks its gradient, in float32, with torch's default Adam. Steps of both take turns, and medians are
compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from bnn_toolchain.data.augment import Augment, augmented
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign
from bnn_toolchain.models import MlpConfig, VggConfig, build_network
from bnn_toolchain.training.config import Stage
from bnn_toolchain.training.evaluate import normalised
from bnn_toolchain.training.losses import squared_hinge
from bnn_toolchain.training.optimizers import Optimizer
from bnn_toolchain.training.precision import autocast, resolve
from bnn_toolchain.training.stages import start_stage

CPU = torch.device("cpu")


class _Where(torch.autograd.Function):
    """The straight-through estimator as most write it."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        masked: Tensor = gradient * (x.abs() <= 1).float()
        return masked


class _PlainSign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _Where.apply(x)  # type: ignore[no-untyped-call]
        return result


class _PlainLinear(nn.Module):
    def __init__(self, layer: BinaryLinear) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, _Where.apply(self.weight))  # type: ignore[no-untyped-call]


class _PlainConv(nn.Module):
    def __init__(self, layer: BinaryConv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.pads, self.value = layer.pads, float(layer.pad_value)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, self.pads, value=self.value)
        return nn.functional.conv2d(x, _Where.apply(self.weight))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class StepTime:
    """Median milliseconds of a training step."""

    network: str
    plain: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.plain / self.ours


def measure(steps: int, compiled: bool) -> list[StepTime]:
    """Both networks on random images, with the present number of threads; ``compiled`` is about our step."""
    grey = InputSpec(28, 28, 1, (1 / 128,), (128.0,), tuple("0123456789"))
    colour = InputSpec(32, 32, 3, (1 / 128,) * 3, (128.0,) * 3, tuple("0123456789"))
    dense, convolutional = build_network(MlpConfig(), grey), build_network(VggConfig(width=0.25), colour)
    return [
        _row("mlp 784-2048-2048-2048-10, batch 100", dense, grey, 100, steps, compiled),
        _row("vgg at a quarter of its width, batch 128", convolutional, colour, 128, steps, compiled),
    ]


def _row(name: str, model: nn.Module, spec: InputSpec, batch: int, steps: int, compiled: bool) -> StepTime:
    images = torch.randint(256, (1000, *spec.shape), dtype=torch.uint8)
    labels = torch.randint(10, (1000,))
    plain = _plain_step(model, images, labels, spec, batch)
    ours = _our_step(model, images, labels, spec, batch, compiled)
    times: tuple[list[float], list[float]] = ([], [])
    for step in range(steps + 2):
        for kept, run in zip(times, (plain, ours), strict=True):
            start = time.perf_counter()
            run()
            if step >= 2:  # the first steps allocate
                kept.append((time.perf_counter() - start) * 1e3)
    return StepTime(name, median(times[0]), median(times[1]))


def _our_step(
    model: nn.Module, images: Tensor, labels: Tensor, spec: InputSpec, batch: int, compiled: bool
) -> Callable[[], None]:
    forward = torch.compile(model) if compiled else model
    ((optimizer, _),) = start_stage(model, Stage(epochs=1, optimizer=Optimizer(lr=1e-3)))
    precision = resolve("auto", CPU)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        index = torch.randint(len(images), (batch,))
        with autocast(precision, CPU):
            logits = forward(normalised(augmented(images, index, Augment(shift=1), generator), spec)).float()
        loss = squared_hinge(logits, labels[index])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _plain_step(model: nn.Module, images: Tensor, labels: Tensor, spec: InputSpec, batch: int) -> Callable[[], None]:
    plain = plain_twin(model)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3, betas=(0.9, 0.99))
    latent = [layer.weight for layer in plain if isinstance(layer, _PlainConv | _PlainLinear)]

    def step() -> None:
        index = torch.randint(len(images), (batch,))
        logits = plain(normalised(images[index], spec).contiguous())
        loss = squared_hinge(logits, labels[index])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            for weight in latent:
                weight.clamp_(-1, 1)

    return step


def plain_twin(model: nn.Module) -> nn.Sequential:
    """The same network, with the same weights, as most write it."""
    assert isinstance(model, nn.Sequential)
    return nn.Sequential(*[_plain(layer) for layer in model])


def _plain(layer: nn.Module) -> nn.Module:
    match layer:
        case BinaryLinear():
            return _PlainLinear(layer)
        case BinaryConv2d():
            return _PlainConv(layer)
        case Sign():
            return _PlainSign()
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return type(layer)(layer.num_features)
        case _:
            return layer


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Time training steps against plain PyTorch.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="have torch.compile make one program of our step")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), {resolve('auto', CPU)} precision")
    for row in measure(arguments.steps, arguments.compile):
        print(f"{row.network}: plain {row.plain:.0f} ms, ours {row.ours:.0f} ms a step, {row.ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
