"""The arithmetic of training steps."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

Precision: TypeAlias = Literal["auto", "fp32", "mixed"]


def resolve(precision: Precision, device: torch.device) -> Precision:
    """What ``auto`` means on this machine; anything else stays."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # without these instructions bf16 is emulated, and slower than float32
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "mixed" if native else "fp32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a training step's forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "mixed")
