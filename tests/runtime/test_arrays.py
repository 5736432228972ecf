"""The .npy files that golden vectors and devices use."""

import numpy as np
import pytest

from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.runtime.bundle.arrays import read_array, write_array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1),
        np.linspace(-1, 1, 10, dtype=np.float32).reshape(5, 2),
        np.array([[2**64 - 1], [0]], np.uint64),
        np.zeros((3, 0), np.uint64),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
    ],
)
def test_what_is_written_is_read(tmp_path, array):
    write_array(tmp_path / "a.npy", array)
    found = read_array(tmp_path / "a.npy", array.dtype.str, (None, *array.shape[1:]))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def refused(path, words, dtype="<f4", shape=(None, 3)):
    with pytest.raises(FileFormatError, match=words) as caught:
        read_array(path, dtype, shape)
    assert str(path) in str(caught.value)


def test_every_truncation_is_refused(tmp_path):
    write_array(tmp_path / "a.npy", np.ones((4, 3), np.float32))
    data = (tmp_path / "a.npy").read_bytes()
    for length in range(len(data)):
        (tmp_path / "a.npy").write_bytes(data[:length])
        refused(tmp_path / "a.npy", "truncated")
    (tmp_path / "a.npy").write_bytes(data + b"\0")
    refused(tmp_path / "a.npy", "49 bytes of data, not 48")


def test_another_type_or_shape_is_named(tmp_path):
    write_array(tmp_path / "a.npy", np.ones((4, 2), np.float32))
    refused(tmp_path / "a.npy", r"holds <f4 \[4, 2\], not <f4 \['N', 3\]")
    refused(tmp_path / "a.npy", r"holds <f4 \[4, 2\], not <u8 \['N', 2\]", "<u8", (None, 2))


def test_a_giant_shape_allocates_nothing(tmp_path):
    write_array(tmp_path / "a.npy", np.ones((4, 3), np.float32))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data.replace(b"(4, 3), }                ", b"(99999999999999999, 3), }"))
    refused(tmp_path / "a.npy", "truncated or corrupt: 48 bytes of data, not 1199999999999999988")


def test_objects_and_fortran_order_are_foreign(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    refused(tmp_path / "o.npy", "not a .npy file that bnnt writes")
    np.save(tmp_path / "f.npy", np.asfortranarray(np.ones((4, 3), np.float32)))
    refused(tmp_path / "f.npy", "not a .npy file that bnnt writes")
    refused(tmp_path / "missing.npy", "cannot read")
