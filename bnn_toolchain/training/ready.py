"""Whether a module can be trained: found out before a run writes anything."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.training.evaluate import normalised

PROBED = 2  # images; a batch norm needs two in training


def check_model(model: nn.Module, images: NDArray[np.uint8], spec: InputSpec, device: torch.device) -> None:
    """Refuse a module, which lies on ``device``, that does not make logits of ``images``, uint8 [N, H, W, C].

    A copy runs on the first of them, in evaluation and in training mode.

    Raises:
        UsageError: the module cannot be copied or fails; it yields no logits; they depend on nothing that can learn.
    """
    try:
        probe = copy.deepcopy(model)
    except Exception as error:  # what a module holds is the user's
        raise UsageError(
            f"{type(model).__name__} cannot be copied, and fit and export need that: {_line(error)}"
        ) from error
    x = normalised(torch.from_numpy(images[:PROBED]).to(device), spec)
    for training in (False, True):
        mode = "training" if training else "evaluation"
        try:
            with torch.set_grad_enabled(training):
                output = probe.train(training)(x)
        except Exception as error:  # user code runs here, and torch has no common base for what it raises
            raise UsageError(
                f"{type(model).__name__} fails in {mode} mode on float32 images {list(x.shape)}: {_line(error)}"
            ) from error
        logits = logits_of(output, len(x), len(spec.classes), mode)
        if training and not logits.requires_grad:
            raise UsageError(
                "the model's logits depend on no parameter that can be trained: leave out no_grad and detach, and "
                "requires_grad=False of some parameters"
            )


def logits_of(output: object, images: int, classes: int, mode: str) -> Tensor:
    """``output``, that of a module in "training" or "evaluation" mode, if it is one logit for each image and class.

    Raises:
        UsageError: it is something else; the message says what.
    """
    if isinstance(output, Tensor) and output.shape == (images, classes) and (output.dtype.is_floating_point):
        return output
    raise UsageError(
        f"in {mode} mode the model yields {_described(output)} for {images} images of {classes} classes: make forward "
        f"return one tensor of logits, float32 [{images}, {classes}], and nothing else"
    )


def _described(output: object) -> str:
    match output:
        case Tensor():
            return f"{str(output.dtype).removeprefix('torch.')} {list(output.shape)}"
        case dict():
            return f"a {type(output).__name__} with the keys {', '.join(map(repr, output))}"
        case list() | tuple():
            parts = ", ".join(_described(part) for part in output)
            return f"a {type(output).__name__} of {len(output)} ({parts})"
        case _:
            return type(output).__name__


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
