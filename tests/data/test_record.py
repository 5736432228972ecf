"""What a run remembers of its images, and what is said when they come back changed."""

from dataclasses import replace

import numpy as np
import pytest

from bnn_toolchain.data.mnist5k import read_mnist5k
from bnn_toolchain.data.record import SplitRecord, changes, changes_of_test, read_record, record_of, write_record
from bnn_toolchain.data.splits import Labelled, Splits
from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.input_spec import InputSpec

SPEC = InputSpec(2, 2, 1, (1.0,), (0.0,), ("a", "b"))
COUNT = 48


def part(first, count, named=True):
    """Images that are told apart by their first pixel; every second is of class b."""
    images = np.zeros((count, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = range(first, first + count)
    labels = np.arange(first, first + count) % 2
    names = np.array([f"{number}.png" for number in range(first, first + count)])
    digests = np.repeat(np.arange(first, first + count, dtype=np.uint8)[:, None], 32, 1)
    return Labelled(images, labels, digests if named else None, names if named else None)


def record(test, named=True):
    return record_of(Splits(part(0, 100, named), part(100, 20, named), test, SPEC, "made"))


DIGITS = "f73065c6295360aacace9294ceb40de751b5236185b51d8fa87c28683c93cb6c"
THEN = record(part(120, COUNT))


def test_order_and_names_do_not_matter():
    mixed = part(120, COUNT).take(np.random.default_rng(0).permutation(COUNT))
    other = replace(mixed, names=np.array([f"other{number}" for number in range(COUNT)]))
    assert changes(THEN, record(other)) == changes_of_test(THEN, record(other)) == ""


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (part(122, 46), "2 of 48 are gone"),
        (part(120, 50), "2 of 50 are new"),
        (part(120, 49), "1 of 49 is new"),
        (part(110, 58), "10 of 58 validated it"),
        (part(88, COUNT), "12 of 48 trained this network, 20 of 48 validated it, 32 of 48 are gone"),
        (replace(part(120, COUNT), labels=np.zeros(COUNT, int)), "24 of 48 are new, 24 of 48 are gone"),
    ],
)
def test_what_changed_is_counted(test, message):
    assert changes_of_test(THEN, record(test)) == f"the test images changed: {message}"


def test_other_splits_are_compared_too():
    now = record_of(Splits(part(1, 98), part(100, 19), part(120, COUNT), SPEC, "made"))
    said = "the training images changed: 2 of 100 are gone; the validation images changed: 1 of 20 is gone"
    assert (changes(THEN, now), changes_of_test(THEN, now)) == (said, "")


def test_a_table_is_one_digest():
    then = record(part(120, COUNT, named=False), named=False)
    assert then.test == SplitRecord(COUNT, then.test.sha256, {})
    assert changes_of_test(then, record(part(120, COUNT, named=False), named=False)) == ""
    now = record(part(119, COUNT, named=False), named=False)
    assert changes_of_test(then, now) == "the test images changed: they are not the 48 of the run's table"


def test_digits_have_the_digest_that_they_always_had():
    train, test = read_mnist5k()
    spec = InputSpec(28, 28, 1, (1.0,), (0.0,), tuple("0123456789"))
    assert record_of(Splits(train, test, test, spec, "mnist5k")).test.sha256 == DIGITS


def test_a_record_survives_its_file(tmp_path):
    write_record(tmp_path / "data.json", THEN)
    assert read_record(tmp_path / "data.json") == THEN
    for content in (b"", b"{}", b"[" * 100_000, b'{"source": 1}'):
        (tmp_path / "data.json").write_bytes(content)
        with pytest.raises(FileFormatError, match=r"data\.json does not say which images the run had"):
            read_record(tmp_path / "data.json")
