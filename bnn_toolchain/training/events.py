"""A run's metrics as a TensorBoard event file: `tensorboard --logdir runs` shows it.

The file is a sequence of TFRecords (length u64, masked CRC-32C of it, data, masked CRC-32C of that, little-endian),
each an `Event` message of TensorFlow's event.proto. Its few fields are written here, so that no run needs the package
tensorboard.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from bnn_toolchain.files import write_atomically
from bnn_toolchain.training.metrics import Epoch

POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # protobuf's wire types


def write_events(path: Path, epochs: Iterable[Epoch], start: float) -> None:
    """Write a whole event file for ``epochs``; ``start`` is when the run began, in seconds since 1970."""
    wall = start
    records = [_record(_field(1, DOUBLE, struct.pack("<d", start)) + _bytes(3, b"brain.Event:2"))]
    for epoch in epochs:
        wall += epoch.seconds
        time, step = _field(1, DOUBLE, struct.pack("<d", wall)), _field(2, VARINT, _varint(epoch.epoch))
        summary = b"".join(_bytes(1, _value(tag, value)) for tag, value in _scalars(epoch))
        records.append(_record(time + step + _bytes(5, summary)))
    write_atomically(path, b"".join(records))


def _value(tag: str, value: float) -> bytes:
    return _bytes(1, tag.encode()) + _field(2, FLOAT, struct.pack("<f", value))


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


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of ``data``."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _table_entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (POLYNOMIAL if index & 1 else 0)
    return index


_TABLE = [_table_entry(index) for index in range(256)]


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _field(number: int, kind: int, payload: bytes) -> bytes:
    return _varint(number << 3 | kind) + payload


def _bytes(number: int, payload: bytes) -> bytes:
    return _field(number, BYTES, _varint(len(payload)) + payload)
