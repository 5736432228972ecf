"""What torch itself decides between an accumulator and a sign."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bnn_toolchain.converters.graph.ops import BatchNorm, Bias, Divide, Hardtanh, Op, Relu, Scale, Value
from bnn_toolchain.errors import CheckFailed

DECIDED_BY = f"torch {torch.__version__}"


def decide(name: str, chain: list[Op], x: Value, accumulators: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the sign is +1 for one accumulator a channel: bool [C]."""
    column = torch.from_numpy(accumulators.astype(np.float32)).reshape(1, -1, *[1] * (len(x.shape) - 1))
    value = column.expand(1, *x.shape).contiguous()
    for op in chain:
        value = _evaluate(op, value)
    decided = (value >= 0).reshape(x.shape[0], -1)
    if not torch.equal(decided, decided[:, :1].expand_as(decided)):
        raise CheckFailed(f"{name}: torch's evaluation before this sign differs between positions of one channel")
    return decided[:, 0].numpy()


def _evaluate(op: Op, x: torch.Tensor) -> torch.Tensor:
    match op:
        case BatchNorm():
            mean, var, gamma, beta = (torch.from_numpy(a) for a in (op.mean, op.var, op.gamma, op.beta))
            return functional.batch_norm(x, mean, var, gamma, beta, training=False, eps=op.eps)
        case Scale(scale):
            return x * _per_channel(scale, x)
        case Divide(divisor):
            return x / _per_channel(divisor, x)
        case Bias(bias):
            return x + _per_channel(bias, x)
        case Relu():
            return functional.relu(x)
        case Hardtanh():
            return functional.hardtanh(x)
        case _:
            raise AssertionError(op)


def _per_channel(array: NDArray[np.float32], x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(array).reshape(-1, *[1] * (x.ndim - 2))
