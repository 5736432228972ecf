"""A trained network back from its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import unwrapped
from bnn_toolchain.models import build_network
from bnn_toolchain.training import checkpoint
from bnn_toolchain.training.config import Recipe, Training
from bnn_toolchain.training.metrics import Summary, read_summary
from bnn_toolchain.training.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network in evaluation mode on the CPU; ``summary`` is None while the run is not finished."""

    model: nn.Module
    input_spec: InputSpec
    training: Training
    summary: Summary | None


def load_run(path: Path, which: Literal["best", "last"] = "best", model: nn.Module | None = None) -> TrainedModel:
    """The trained network of a run folder.

    A run of a module of the user's own needs such a ``model``; the run's weights replace its own. What comes back is
    the module inside ``model``, if torch.compile or a data-parallel class wraps it.

    Raises:
        UsageError: the run is of the user's own module and ``model`` is missing.
        FileFormatError: the folder is no run's, or a file in it is truncated, foreign or of another network.
    """
    folder = RunFolder(path)
    training, spec = folder.read_training(), folder.read_input()
    if model is None:
        if not isinstance(training, Recipe):
            raise UsageError(
                f"{path} is a run of a module of your own: give it to load_run(…, model=…), or on the command line "
                "to `bnnt validate --module`"
            )
        model = build_network(training.model, spec)
    file = folder.best if which == "best" else folder.last
    if not file.exists():
        raise FileFormatError(f"{file} is missing: the run has not finished an epoch")
    checkpoint.read(file).restore_model(model)
    summary = read_summary(folder.summary) if folder.summary.exists() else None
    return TrainedModel(unwrapped(model).to("cpu").eval(), spec, training, summary)
