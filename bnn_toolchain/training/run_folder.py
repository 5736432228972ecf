"""A run's folder: which files it has, and whether it may be used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bnn_toolchain.data.config import PLACES
from bnn_toolchain.data.record import Record, changes, read_record, record_of, write_record
from bnn_toolchain.data.splits import Splits
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.files import SMALL_FILE, read_bounded, read_json, write_atomically
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.training.config import Training
from bnn_toolchain.training.recipe import dump, read_dump


@dataclass(frozen=True)
class RunFolder:
    """The files of a run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved configuration."""
        return self.path / "recipe.yaml"

    @property
    def input(self) -> Path:
        """The input specification."""
        return self.path / "input.json"

    @property
    def data(self) -> Path:
        """Which images trained, validated and tested, see :class:`bnn_toolchain.data.record.Record`."""
        return self.path / "data.json"

    @property
    def metrics(self) -> Path:
        """One JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The same for TensorBoard."""
        return self.path / "events.out.tfevents.bnnt"

    @property
    def best(self) -> Path:
        """The model of the epoch that was best on the validation images."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The last epoch's model and optimizer."""
        return self.path / "last.safetensors"

    @property
    def summary(self) -> Path:
        """What came out; it is there when the run is finished."""
        return self.path / "summary.json"

    def claim(self) -> None:
        """Make the folder for a new run.

        Raises:
            UsageError: there is something in it, or it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            occupied = any(self.path.iterdir())
        except OSError as error:
            raise UsageError(f"cannot use {self.path} as a run folder: {error.strerror}") from error
        if self.recipe.exists():
            raise UsageError(f"{self.path} holds a run already: --resume goes on with it; else give another --out")
        if occupied:
            raise UsageError(f"{self.path} is not empty: give another --out")

    def describe(self, training: Training, splits: Splits) -> None:
        """Write down what the run is."""
        write_record(self.data, record_of(splits))
        write_atomically(self.input, (json.dumps(splits.spec.to_json(), indent=2) + "\n").encode())
        write_atomically(self.recipe, dump(training).encode())

    def check_same(self, training: Training, splits: Splits) -> None:
        """Whether a run with these settings and images may go on here; where the images are does not matter.

        Raises:
            UsageError: there is no run, or one with other settings or images; the message names the fields.
        """
        if not self.recipe.exists():
            raise UsageError(f"{self.path} holds no run to go on with: leave --resume out")
        old, new = (_settings(settings) for settings in (self.read_training(), training))
        differences = sorted(_differences(old, new))
        if differences:
            raise UsageError(
                f"{self.path} is another run, {', '.join(differences)}: give its settings or another --out"
            )
        changed = changes(self.read_record(), record_of(splits))
        if changed:
            raise UsageError(f"{self.path}: {changed}; put the images back, or train anew in another --out")
        if self.read_input() != splits.spec:
            raise UsageError(f"{self.path} was trained on other images: {self.input} differs from the data set's")

    def read_training(self) -> Training:
        """The configuration; a Recipe unless the network was the user's own.

        Raises:
            FileFormatError: recipe.yaml is missing or not what was written.
        """
        try:
            return read_dump(read_bounded(self.recipe, SMALL_FILE).decode(), str(self.recipe))
        except (OSError, ValueError, UsageError) as error:
            raise FileFormatError(f"{self.path} is not a run folder: {error}") from error

    def read_record(self) -> Record:
        """Which images trained, validated and tested.

        Raises:
            FileFormatError: data.json is missing or not what was written.
        """
        if not self.data.exists():
            raise FileFormatError(f"{self.data} is missing: an earlier bnnt trained this run; train it again")
        return read_record(self.data)

    def read_input(self) -> InputSpec:
        """The input specification.

        Raises:
            FileFormatError: input.json is missing or not what was written.
        """
        try:
            return InputSpec.from_json(read_json(read_bounded(self.input, SMALL_FILE)))
        except (OSError, ValueError, UsageError) as error:
            raise FileFormatError(f"{self.input} is not an input specification: {error}") from error


def _settings(training: Training) -> dict[str, Any]:
    """The fields that two runs are compared by. Images are compared by their record, not by where they are."""
    settings: dict[str, Any] = yaml.safe_load(dump(training))
    if "data" in settings:
        settings["data"] = {key: value for key, value in settings["data"].items() if key not in PLACES}
    return settings


def _differences(old: object, new: object, path: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = old.keys() | new.keys()
        return [line for key in keys for line in _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for index, (a, b) in pairs for line in _differences(a, b, f"{path}.{index}")]
    return [] if old == new else [f"with {path}={old} instead of {new}"]
