"""The .npy files of golden vectors and devices: three types, C order, read without trust."""

from __future__ import annotations

import io
import os
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.errors import FileFormatError

MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(rb"\{'descr': '(\|u1|<f4|<u8)', 'fortran_order': False, 'shape': \(([0-9, ]{1,80})\),? *\} *\n")


def read_array(path: Path, dtype: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """The array in ``path``: of ``dtype`` ("|u1", "<f4" or "<u8") and ``shape``, where None is any length.

    Nothing is read or allocated before the file's size is known to be right.

    Raises:
        FileFormatError: missing, truncated, not a version 1 .npy file, or of another type, order or shape.
    """
    try:
        with path.open("rb") as file:
            magic, length = file.read(len(MAGIC)), int.from_bytes(file.read(2), "little")
            header = HEADER.fullmatch(file.read(length))
            if magic != MAGIC or header is None:
                raise FileFormatError(
                    f"{path} is not a .npy file that bnnt writes: it is truncated, corrupt or foreign"
                )
            kind, sides = header[1].decode(), tuple(int(n) for n in header[2].split(b",") if n.strip())
            if kind != dtype or not _fits(sides, shape):
                wanted = [n if n is not None else "N" for n in shape]
                raise FileFormatError(f"{path} holds {kind} {list(sides)}, not {dtype} {wanted}")
            left = os.fstat(file.fileno()).st_size - file.tell()
            expected = prod(sides) * np.dtype(dtype).itemsize
            if left != expected:
                raise FileFormatError(f"{path} is truncated or corrupt: {left} bytes of data, not {expected}")
            return np.frombuffer(file.read(), dtype).reshape(sides)
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror}") from error


def _fits(sides: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(sides) == len(shape) and all(b is None or a == b for a, b in zip(sides, shape, strict=True))


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write ``array`` so that :func:`read_array` and bnnt-run read it.

    Raises:
        OSError: it cannot be written; numpy's own writing would not say why.
    """
    path.write_bytes(array_bytes(array))


def array_bytes(array: NDArray[Any]) -> bytes:
    """What :func:`write_array` writes."""
    data = io.BytesIO()
    np.save(data, np.ascontiguousarray(array), allow_pickle=False)
    return data.getvalue()
