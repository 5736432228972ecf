"""Which engines there are."""

from __future__ import annotations

from typing import Literal, get_args

from bnn_toolchain.errors import UsageError

EngineName = Literal["native", "onnxruntime", "torch", "reference", "lce", "lce-optimized", "lce-reference"]
"""LCE's interpreter has three kernels; "lce" is its indirect one, the fastest on x86."""
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def engine_name(text: str) -> EngineName:
    """``text`` as the name of an engine.

    Raises:
        UsageError: there is no such engine.
    """
    for name in ENGINES:
        if name == text:
            return name
    raise UsageError(f"no engine is called '{text}': choose from {', '.join(ENGINES)}")
