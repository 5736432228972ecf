"""Tables of encoded images: parquet files and data sets of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bnn_toolchain.data.config import Columns
from bnn_toolchain.data.images import ImageReader
from bnn_toolchain.data.splits import Labelled
from bnn_toolchain.errors import FileFormatError, Unavailable, UsageError
from bnn_toolchain.files import read_json

ROWS = 16  # of a parquet file, decoded at a time
SHARING, ROOM = 32, 4 << 20  # bytes of images for each byte of the file, and of any file


def read_parquet(path: Path, columns: Columns) -> pa.Table:
    """The image and label columns of a parquet file.

    Raises:
        UsageError: it is not there, or has not these columns.
        FileFormatError: it is truncated, no parquet file, or becomes out of all proportion when it is decoded.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not there: data.train and data.test name parquet files")
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(file.schema_arrow.names, columns, str(path))
            return _decoded(file, [columns.image_column, columns.label_column], path)
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} is not a whole parquet file: {error}") from error


def _decoded(file: pq.ParquetFile, names: list[str], path: Path) -> pa.Table:
    """The columns ``names``: a file of a kilobyte can hold one image a million times."""
    size = path.stat().st_size
    if file.metadata.num_rows > size:
        raise FileFormatError(f"{path} has {file.metadata.num_rows} rows in {size} bytes: it is corrupt")
    batches, left = [], ROOM + SHARING * size
    for batch in file.iter_batches(ROWS, columns=names):
        left -= batch.nbytes
        if left < 0:
            raise FileFormatError(
                f"{path} has more than {ROOM + SHARING * size} bytes of images in {size}: it is corrupt"
            )
        batches.append(batch)
    table = pa.Table.from_batches(batches, file.schema_arrow if not batches else batches[0].schema)
    return table.replace_schema_metadata(file.schema_arrow.metadata)


def read_hub(name: str, configuration: str | None, split: str, columns: Columns) -> pa.Table:
    """The image and label columns of a split of a data set of the hub.

    Raises:
        UsageError: there is no such data set, split or column.
        Unavailable: the hub cannot be reached.
    """
    from datasets import DownloadConfig, Image
    from datasets.exceptions import DatasetNotFoundError
    from datasets.load import load_dataset

    try:
        hub = load_dataset(name, configuration, split=split, download_config=DownloadConfig(max_retries=1))
    except (DatasetNotFoundError, ValueError) as error:
        raise UsageError(f"data set '{name}', split '{split}': {error}") from error
    except (ConnectionError, OSError) as error:
        raise Unavailable(
            f"data set '{name}' cannot be fetched: {error}. Without a network, set BNNT_DATA to a folder that holds "
            f"mnist or cifar10, or use data.source=parquet or folder"
        ) from error
    _check_columns(hub.column_names, columns, name)
    table: pa.Table = hub.cast_column(columns.image_column, Image(decode=False)).with_format("arrow")[:]
    features = {columns.label_column: _label_feature(getattr(hub.features[columns.label_column], "names", None))}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    return table.select([columns.image_column, columns.label_column]).replace_schema_metadata(metadata)


def labelled(table: pa.Table, columns: Columns, reader: ImageReader, rows: NDArray[np.int64], name: str) -> Labelled:
    """The decoded images of the table's ``rows``, in that order.

    Raises:
        UsageError: no rows, labels that are no integers, images of different sizes without a fit, or colours.
        FileFormatError: a corrupt image; the message has its row.
    """
    if not len(rows):
        raise UsageError(f"{name} has no rows")
    table = table.take(rows)
    labels = table.column(columns.label_column)
    if not pa.types.is_integer(labels.type) or labels.null_count:
        raise UsageError(f"{name}: column '{columns.label_column}' holds {labels.type}: labels must be whole numbers")
    cells = zip(rows, table.column(columns.image_column).to_pylist(), strict=True)
    files = ((f"{name}, row {row}", _content(value, f"{name}, row {row}")) for row, value in cells)
    images, digests = reader.read_all(files, len(rows))
    return Labelled(images, labels.to_numpy().astype(np.int64), digests)


def class_names(table: pa.Table, column: str, largest: int) -> tuple[str, ...]:
    """Names from the table's metadata; without any, the numbers 0 to ``largest``."""
    raw = (table.schema.metadata or {}).get(b"huggingface")
    numbers = tuple(str(label) for label in range(largest + 1))
    if raw is None:
        return numbers
    try:
        names = read_json(raw)["info"]["features"][column].get("names") or ()
        return tuple(str(name) for name in names) or numbers
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"the table's 'huggingface' metadata has no feature '{column}': {error!r}") from error


def _label_feature(names: list[str] | None) -> dict[str, Any]:
    return {"_type": "ClassLabel", "names": names} if names else {"_type": "Value"}


def _check_columns(present: list[str], columns: Columns, name: str) -> None:
    for field, column in (("image_column", columns.image_column), ("label_column", columns.label_column)):
        if column not in present:
            raise UsageError(f"{name} has no column '{column}': set data.{field} to one of {', '.join(present)}")


def _content(value: Any, name: str) -> bytes:
    match value:
        case bytes() | {"bytes": bytes()}:
            return value if isinstance(value, bytes) else bytes(value["bytes"])
        case {"path": str(path)}:
            try:
                return Path(path).read_bytes()
            except OSError as error:
                raise UsageError(f"{name}: cannot read {path}: {error.strerror}") from error
        case _:
            raise FileFormatError(f"{name} holds no encoded image but {type(value).__name__}")
