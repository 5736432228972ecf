"""Random small networks that provoke every corner of lowering; the engines' tests share them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import Sign

ORDERS = ("conv-pool-bn-sign", "bn-sign-conv-pool", "conv-bn-sign-pool")


class Conv(nn.Module):
    """Binary weights; pads with ``pad_value``."""

    def __init__(self, inputs, outputs, kernel, stride, padding, dilation, groups, pad_value):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs // groups, kernel, kernel))
        self.geometry = stride, 0, dilation, groups
        self.padding, self.pad_value = padding, pad_value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stride, padding, dilation, groups = self.geometry
        padded = functional.pad(x, (self.padding,) * 4, value=float(self.pad_value))
        return functional.conv2d(padded, torch.ops.bnnt.sign(self.weight), None, stride, padding, dilation, groups)


class Dense(nn.Module):
    """Binary weights."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, torch.ops.bnnt.sign(self.weight))


def random_network(seed: int) -> tuple[nn.Module, InputSpec]:
    """A network in evaluation mode and its input: odd channel counts, strides, pads, three block orders, dense layers.

    Batch norms have negative, zero and huge scales, and channels whose output is exactly 0 at some accumulator.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    order = ORDERS[seed % len(ORDERS)]
    side, channels = int(rng.integers(5, 11)), int(rng.integers(1, 4))
    offset = float(rng.choice([0, 127, 128, 255]))
    spec = InputSpec(
        side, side + 1, channels, (2.0 ** -int(rng.integers(0, 8)),) * channels, (offset,) * channels, ("a",) * 5
    )
    layers: list[nn.Module] = []
    blocks = int(rng.integers(0, 3))
    x = torch.zeros(1, channels, side, side + 1)
    for block in range(blocks):
        body = _block(rng, order, x.shape[1], min(x.shape[2:]), first=block == 0)
        layers += body
        with torch.no_grad():
            x = nn.Sequential(*body).eval()(x)
    if blocks and order == "bn-sign-conv-pool":
        layers += [_norm(rng, x.shape[1], nn.BatchNorm2d), Sign()]
    layers.append(nn.Flatten())
    features = x[0].numel()
    for _ in range(int(rng.integers(0 if blocks else 1, 3))):
        width = int(rng.integers(1, 66))
        layers += [Dense(features, width), _norm(rng, width, nn.BatchNorm1d), Sign()]
        features = width
    layers.append(Dense(features, 5))
    if rng.random() < 0.7:
        layers.append(_norm(rng, 5, nn.BatchNorm1d))
    return nn.Sequential(*layers).eval(), spec


def _block(rng: np.random.Generator, order: str, inputs: int, side: int, first: bool) -> list[nn.Module]:
    outputs = int(rng.integers(1, 66))
    groups = 1
    if not first and rng.random() < 0.3:
        groups = next(g for g in (3, 2, 1) if inputs % g == 0)
        outputs = max(1, outputs // groups) * groups
    kernel = int(rng.integers(1, min(3, side) + 1))
    dilation = 2 if kernel == 2 and side > 3 and rng.random() < 0.5 else 1
    padding, pad_value = int(rng.integers(0, 3)), 0 if first else int(rng.integers(0, 2))
    conv = Conv(inputs, outputs, kernel, int(rng.integers(1, 3)), padding, dilation, groups, pad_value)
    pool = (
        [nn.MaxPool2d(2, int(rng.integers(1, 3)), int(rng.integers(0, 2)))] if side > 5 and rng.random() < 0.7 else []
    )
    norm = _norm(rng, outputs, nn.BatchNorm2d)
    hard = [nn.Hardtanh()] if rng.random() < 0.2 else []
    match order:
        case "conv-pool-bn-sign":
            return [conv, *pool, norm, *hard, Sign()]
        case "conv-bn-sign-pool":
            return [conv, norm, *hard, Sign(), *pool]
        case _:
            before = [] if first else [_norm(rng, inputs, nn.BatchNorm2d), *hard, Sign()]
            return [*before, conv, *pool]


def _norm(rng: np.random.Generator, channels: int, kind: type[nn.Module]) -> nn.Module:
    """A batch norm whose channels are ties, negative, zero, saturated or ordinary."""
    norm = kind(channels).eval()
    with torch.no_grad():
        gamma, beta = rng.normal(size=channels), rng.normal(size=channels)
        mean, var = rng.normal(size=channels) * 4, rng.uniform(0.01, 40, channels)
        case = rng.integers(0, 6, channels)
        mean[case == 0], beta[case == 0] = np.round(mean[case == 0]), 0  # 0 exactly at acc == mean
        reached = np.round(mean) + rng.integers(-6, 7, channels)
        tie = case == 1  # gamma * (reached - mean) / sqrt(var + eps) + beta is 0 but for rounding
        beta[tie] = (-gamma * (reached - mean) / np.sqrt(var + norm.eps))[tie]
        gamma[case == 2] = rng.choice([0.0, -0.0], channels)[case == 2]
        beta[case == 3] *= 1e4
        for parameter, values in (
            (norm.weight, gamma),
            (norm.bias, beta),
            (norm.running_mean, mean),
            (norm.running_var, var),
        ):
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    return norm


def hidden_bits(module: nn.Module, images: np.ndarray, spec: InputSpec) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """torch's logits, and each Sign's output packed as the reference packs it, by the module's path."""
    hidden: dict[str, np.ndarray] = {}

    def keep(name):
        def hook(_module, _inputs, output):
            last = output.numpy().transpose(0, 2, 3, 1) if output.ndim == 4 else output.numpy()
            hidden[name] = np.packbits(last < 0, axis=-1, bitorder="little")

        return hook

    hooks = [m.register_forward_hook(keep(name)) for name, m in module.named_modules() if isinstance(m, Sign)]
    scale, offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)
    pixels = ((images.astype(np.float32) - offset) * scale).transpose(0, 3, 1, 2)
    with torch.no_grad():
        logits = module(torch.from_numpy(np.ascontiguousarray(pixels))).numpy()
    for hook in hooks:
        hook.remove()
    return logits, hidden
