import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bnn_toolchain.training.events import crc32c, write_events
from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.metrics import Epoch, read_epochs

from .small import splits
from .test_fit import network, settings

EPOCHS = [
    Epoch(number, 0, 0.5 / number, 0.75, 0.5, 0.25, {"1.weight": 0.125}, {"3": 0.625}, 0.01, 2.0)
    for number in (1, 2, 300)
]


def event_class():
    """TensorFlow's Event message, as far as its scalars go, for protobuf's own parser."""
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    messages = {
        "Value": [("tag", 1, kinds.TYPE_STRING, 1, None), ("simple_value", 2, kinds.TYPE_FLOAT, 1, None)],
        "Summary": [("value", 1, kinds.TYPE_MESSAGE, 3, ".t.Value")],
        "Event": [
            ("wall_time", 1, kinds.TYPE_DOUBLE, 1, None),
            ("step", 2, kinds.TYPE_INT64, 1, None),
            ("file_version", 3, kinds.TYPE_STRING, 1, None),
            ("summary", 5, kinds.TYPE_MESSAGE, 1, ".t.Summary"),
        ],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, type_name in fields:
            message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))


def mask(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def parsed(path):
    event, data, events = event_class(), path.read_bytes(), []
    while data:
        length, crc = struct.unpack("<QI", data[:12])
        body = data[12 : 12 + length]
        assert crc == mask(crc32c(data[:8]))
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == mask(crc32c(body))
        events.append(event.FromString(body))
        data = data[16 + length :]
    return events


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_crc32c_has_the_published_values(data, crc):
    """The check value of the algorithm, and the vectors of RFC 3720, appendix B.4."""
    assert crc32c(data) == crc


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
