"""Checkpoints as safetensors: a model, and for going on also its optimizers and where the run stands.

Random numbers need no place here: each epoch draws from generators that start from the run's seed and the epoch's
number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.files import parse, write_atomically
from bnn_toolchain.layers import plain_names

MODEL, OPTIMIZER = "model/", "optimizer/"
HEADER = 1 << 19  # bytes; a tensor takes some 60 there, and a kilobyte in memory even if it holds nothing


@dataclass(frozen=True)
class RunState:
    """Where a run stands: ``epoch`` epochs are done, ``stage_epoch`` of them in the present ``stage`` (from 0).

    ``best_epoch`` is 0 before the first. Validation has not improved on ``stage_best`` for ``stale`` epochs of the
    stage.
    """

    epoch: int = 0
    stage: int = 0
    stage_epoch: int = 0
    stage_best: float = -1.0
    stale: int = 0
    best_epoch: int = 0
    best_validation_accuracy: float = -1.0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a file."""

    path: Path
    progress: RunState
    tensors: dict[str, Tensor]

    def restore_model(self, model: nn.Module) -> None:
        """Load the parameters and buffers of the model, or of the module inside its wrappers.

        Raises:
            FileFormatError: they are of another network.
        """
        state = {name.removeprefix(MODEL): value for name, value in self.tensors.items() if name.startswith(MODEL)}
        wrapped = {plain: name for name, plain in plain_names(model).items()}
        try:
            model.load_state_dict({wrapped.get(name, name): value for name, value in state.items()})
        except RuntimeError as error:
            raise FileFormatError(f"{self.path} is of another network: {' '.join(str(error).split())}") from error

    def restore_optimizer(self, optimizer: Optimizer, number: int) -> None:
        """Load the state of the ``number``-th optimizer; its settings stay.

        Raises:
            FileFormatError: it is of another network.
        """
        prefix = f"{OPTIMIZER}{number}/"
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, value in self.tensors.items():
            if name.startswith(prefix):
                index, _, key = name.removeprefix(prefix).partition("/")
                if not index.isdecimal() or int(index) >= len(parameters):
                    raise FileFormatError(f"{self.path} holds '{name}': it is of another network")
                if not _belongs(value, parameters[int(index)]):
                    raise FileFormatError(f"{self.path}: '{name}' has shape {list(value.shape)}: of another network")
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _belongs(state: Tensor, parameter: Tensor) -> bool:
    """A number, a tensor of the parameter's shape, or one with a side for each of its own that is as long, or 1."""
    if state.ndim == 0:
        return True
    return state.ndim == parameter.ndim and all(
        side in (1, whole) for side, whole in zip(state.shape, parameter.shape, strict=True)
    )


def write(path: Path, model: nn.Module, progress: RunState, optimizers: Sequence[Optimizer] = ()) -> None:
    """Write a checkpoint, under the names that the model has without wrappers, such as torch.compile's.

    It is written atomically, so that a kill leaves the one before.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    names = plain_names(model)
    tensors = {MODEL + names[name]: value for name, value in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            prefix = f"{OPTIMIZER}{number}/{index}/"
            tensors |= {prefix + key: torch.as_tensor(value) for key, value in state.items() if value is not None}
    # copies, since a layer that stands twice in the model has two names and safetensors refuses shared memory
    tensors = {
        name: value.detach().to("cpu").clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    write_atomically(path, save(tensors, {"bnnt": json.dumps(asdict(progress))}))


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        FileFormatError: the file is missing, truncated or foreign.
    """
    try:
        with path.open("rb") as start:
            header = int.from_bytes(start.read(8), "little")
        if header > HEADER:
            raise ValueError(f"a header of {header} bytes, more than {HEADER}")
        with safe_open(path, framework="pt") as file:
            progress = parse(RunState, (file.metadata() or {})["bnnt"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise FileFormatError(f"{path} is not a whole checkpoint of bnnt: {error}") from error
    return Checkpoint(path, progress, tensors)
