"""A run's metrics as a TensorBoard event file: `tensorboard --logdir runs` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from bnn_toolchain.files import write_atomically
from bnn_toolchain.training.metrics import Epoch


def write_events(path: Path, epochs: Iterable[Epoch], start: float) -> None:
    """Write a whole event file for ``epochs``; ``start`` is when the run began, in seconds since 1970.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    with TemporaryDirectory(prefix=".events.", dir=path.parent) as folder:
        whole = Path(folder) / path.name
        writer = RecordWriter(str(whole))
        for event in _events(epochs, start):
            writer.write(event.SerializeToString())
        writer.close()
        write_atomically(path, whole.read_bytes())


def _events(epochs: Iterable[Epoch], start: float) -> Iterator[Event]:
    yield Event(wall_time=start, file_version="brain.Event:2")
    wall = start
    for epoch in epochs:
        wall += epoch.seconds
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(epoch)]
        yield Event(wall_time=wall, step=epoch.epoch, summary=Summary(value=values))


def _scalars(epoch: Epoch) -> Iterator[tuple[str, float]]:
    yield from (
        ("loss", epoch.loss),
        ("accuracy/training", epoch.accuracy),
        ("accuracy/validation", epoch.validation_accuracy),
        ("learning_rate", epoch.learning_rate),
        ("stage", epoch.stage),
        ("flip_ratio/all", epoch.flip_ratio),
    )
    yield from ((f"flip_ratio/{name}", value) for name, value in epoch.flip_ratios.items())
    yield from ((f"positive_share/{name}", value) for name, value in epoch.positive_shares.items())
