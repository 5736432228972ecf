import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.metrics import Epoch, read_epochs
from bnn_toolchain.training.tensorboard import write_events

from .small import splits
from .test_fit import network, settings

EPOCHS = [
    Epoch(number, 0, 0.5 / number, 0.75, 0.5, 0.25, {"1.weight": 0.125}, {"3": 0.625}, 0.01, 2.0)
    for number in (1, 2, 300)
]


def parsed(path):
    """TFRecords: the length, its checksum, the message, its checksum."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def test_the_file_says_what_the_metrics_say(tmp_path):
    path = tmp_path / "events.out.tfevents.bnnt"
    write_events(path, EPOCHS, start=1000.0)
    first, *events = parsed(path)
    assert first.file_version == "brain.Event:2"
    assert [(event.step, event.wall_time) for event in events] == [(1, 1002.0), (2, 1004.0), (300, 1006.0)]
    values = {value.tag: value.simple_value for value in events[1].summary.value}
    assert values == {
        "loss": 0.25,
        "accuracy/training": 0.75,
        "accuracy/validation": 0.5,
        "stage": 0.0,
        "learning_rate": pytest.approx(0.01),
        "flip_ratio/all": 0.25,
        "flip_ratio/1.weight": 0.125,
        "positive_share/3": 0.625,
    }


def test_a_run_writes_it(tmp_path):
    fit(network(), splits(), settings(epochs=2), tmp_path / "run")
    (path,) = (tmp_path / "run").glob("*tfevents*")
    losses = [value.simple_value for event in parsed(path)[1:] for value in event.summary.value if value.tag == "loss"]
    assert losses == pytest.approx([epoch.loss for epoch in read_epochs(tmp_path / "run" / "metrics.jsonl")])
