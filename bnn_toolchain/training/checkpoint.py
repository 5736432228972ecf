"""Checkpoints as safetensors: a model, and for going on also its optimizer and where the run stands.

Random numbers need no place here: each epoch draws from generators that start from the run's seed and the epoch's
number.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.training.files import write_atomically

MODEL, OPTIMIZER = "model/", "optimizer/"


@dataclass(frozen=True)
class Progress:
    """Where a run stands: ``epoch`` epochs are done, ``stage_epoch`` of them in the present ``stage`` (from 0).

    ``best_epoch`` is 0 before the first.
    """

    epoch: int = 0
    stage: int = 0
    stage_epoch: int = 0
    best_epoch: int = 0
    best_validation_accuracy: float = -1.0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a file."""

    path: Path
    progress: Progress
    tensors: dict[str, Tensor]

    def restore_model(self, model: nn.Module) -> None:
        """Load the model's parameters and buffers.

        Raises:
            FileFormatError: they are of another network.
        """
        state = {name.removeprefix(MODEL): value for name, value in self.tensors.items() if name.startswith(MODEL)}
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise FileFormatError(f"{self.path} is of another network: {' '.join(str(error).split())}") from error

    def restore_optimizer(self, optimizer: Optimizer) -> None:
        """Load the optimizer's state; its settings stay.

        Raises:
            FileFormatError: it is of another network.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, value in self.tensors.items():
            if name.startswith(OPTIMIZER):
                index, _, key = name.removeprefix(OPTIMIZER).partition("/")
                if not index.isdecimal() or int(index) >= len(parameters):
                    raise FileFormatError(f"{self.path} holds '{name}': it is of another network")
                if value.ndim and value.shape != parameters[int(index)].shape:
                    raise FileFormatError(f"{self.path}: '{name}' has shape {list(value.shape)}: of another network")
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def write(path: Path, model: nn.Module, progress: Progress, optimizer: Optimizer | None = None) -> None:
    """Write a checkpoint; atomically, so that a kill leaves the one before.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    tensors = {MODEL + name: value for name, value in model.state_dict().items()}
    if optimizer is not None:
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER}{index}/{key}": value for key, value in state.items() if value is not None}
    tensors = {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}
    write_atomically(path, save(tensors, {"bnnt": json.dumps(asdict(progress))}))


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        FileFormatError: the file is missing, truncated or foreign.
    """
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads((file.metadata() or {})["bnnt"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is not a whole checkpoint of bnnt: {error}") from error
    return Checkpoint(path, progress, tensors)
