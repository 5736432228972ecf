import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bnn_toolchain.data.config import Cifar10, Folder, Hub, Mnist, Mnist5k, Parquet
from bnn_toolchain.data.load import load_splits
from bnn_toolchain.errors import FileFormatError, UsageError

SHARED = Path(os.environ.get("BNNT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def write_folder(root, classes, count, shape=(4, 5, 3)):
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index, image in enumerate(pictures(count, shape, label)):
            (root / name / f"{index}.png").write_bytes(png(image))


def write_table(path, images, labels, names=None, image_column="image"):
    cells = [{"bytes": png(image), "path": None} for image in images]
    table = pa.table({image_column: cells, "label": pa.array(labels, pa.int64())})
    if names:
        features = f'{{"info": {{"features": {{"label": {{"names": {list(names)}}}}}}}}}'.replace("'", '"')
        table = table.replace_schema_metadata({"huggingface": features})
    pq.write_table(table, path)


def test_mnist5k_is_real_and_stratified():
    splits = load_splits(Mnist5k(source="mnist5k"))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (3600, 400, 1000)
    assert splits.train.images.shape == (3600, 28, 28, 1) and splits.train.images.dtype == np.uint8
    assert np.bincount(splits.test.labels).tolist() == [100] * 10
    assert np.bincount(splits.validation.labels, minlength=10).min() >= 20
    everything = np.concatenate([splits.train.images, splits.validation.images, splits.test.images])
    assert len(np.unique(everything.reshape(5000, -1), axis=0)) == 5000
    assert everything.max() == 255 and 30 < everything.mean() < 36  # the ink of MNIST
    again = load_splits(Mnist5k(source="mnist5k"))
    assert np.array_equal(splits.train.images, again.train.images)


@pytest.mark.parametrize(
    ("config", "shape", "first"),
    [
        (Mnist(source="mnist", limit=100), (28, 28, 1), "0"),
        (Cifar10(source="cifar10", limit=100), (32, 32, 3), "airplane"),
    ],
)
def test_known_sets_are_read_from_the_data_folder(config, shape, first, monkeypatch):
    if not (SHARED / config.source / "train.parquet").is_file():
        pytest.skip(f"{SHARED} has no {config.source}; BNNT_DATA may name another folder")
    monkeypatch.setenv("BNNT_DATA", str(SHARED))
    splits = load_splits(config)
    assert splits.spec.shape == shape and splits.spec.classes[0] == first and len(splits.spec.classes) == 10
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (90, 10, 10_000)


def test_a_missing_data_folder_is_named(monkeypatch):
    monkeypatch.setenv("BNNT_DATA", "/nowhere/at/all")
    with pytest.raises(UsageError, match="BNNT_DATA is '/nowhere/at/all'"):
        load_splits(Mnist(source="mnist"))


def test_parquet_files_keep_their_order_and_names(tmp_path):
    images, labels = pictures(40, (5, 4)), np.arange(40) % 3
    write_table(tmp_path / "train.parquet", images, labels, ("x", "y", "z"))
    write_table(tmp_path / "test.parquet", images[:6], labels[:6])
    config = Parquet(source="parquet", train=tmp_path / "train.parquet", test=tmp_path / "test.parquet")
    splits = load_splits(config)
    assert splits.spec.classes == ("x", "y", "z")
    assert np.array_equal(splits.train.images[..., 0], images[:36])
    assert np.array_equal(splits.validation.labels, labels[36:])
    limited = load_splits(config.model_copy(update={"limit": 20}))
    assert (len(limited.train), len(limited.validation), len(limited.test)) == (18, 2, 6)
    mixed = load_splits(config.model_copy(update={"shuffle": True}))
    assert sorted(i.tobytes() for i in np.concatenate([mixed.train.images, mixed.validation.images])) == sorted(
        i.tobytes() for i in images
    )
    assert not np.array_equal(mixed.train.labels, splits.train.labels)


def test_a_hub_data_set_is_read_through_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = tmp_path / "set"
    root.mkdir()
    images, labels = pictures(30, (4, 4, 3)), np.arange(30) % 2
    write_table(root / "train.parquet", images, labels, image_column="img")
    write_table(root / "test.parquet", images[:4], labels[:4], image_column="img")
    splits = load_splits(Hub(source="hub", name=str(root), image_column="img"))
    assert np.array_equal(splits.train.images, images[:27]) and splits.spec.classes == ("0", "1")
    with pytest.raises(UsageError, match=r"no column 'image': set data\.image_column to one of img, label"):
        load_splits(Hub(source="hub", name=str(root)))
    with pytest.raises(UsageError, match="split 'dev'"):
        load_splits(Hub(source="hub", name=str(root), image_column="img", test_split="dev"))


def test_normalisation_is_one_number_or_one_a_channel(tmp_path):
    write_folder(tmp_path, ("a", "b"), 12)
    spec = load_splits(folder(tmp_path)).spec
    assert (spec.scale, spec.offset) == ((1 / 128,) * 3, (128.0,) * 3) and spec.is_integer
    spec = load_splits(folder(tmp_path, scale=[0.01, 0.02, 0.03], offset=100.5)).spec
    assert (spec.scale, spec.offset) == ((0.01, 0.02, 0.03), (100.5,) * 3) and not spec.is_integer
    with pytest.raises(UsageError, match="2 scales and 3 offsets for 3 channels"):
        load_splits(folder(tmp_path, scale=[0.1, 0.2]))


def folder(path, **fields):
    return Folder(source="folder", path=path, **fields)


def test_a_corrupt_image_is_named(tmp_path):
    write_folder(tmp_path, ("a", "b"), 12)
    broken = tmp_path / "a" / "3.png"
    whole = broken.read_bytes()
    for content in (whole[:50], whole[:-35], whole[:60] + b"\0\0\0\0" + whole[64:], b"no image", b""):
        broken.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a/3\.png"):
            load_splits(folder(tmp_path))


def test_an_image_of_another_size_or_colour_is_named(tmp_path):
    write_folder(tmp_path, ("a", "b"), 12)
    odd = tmp_path / "b" / "7.png"
    odd.write_bytes(png(np.zeros((9, 5, 3), np.uint8)))
    with pytest.raises(UsageError, match=r"b/7\.png has 9x5 pixels \(height x width\), the model takes 4x5"):
        load_splits(folder(tmp_path))
    odd.write_bytes(png(np.zeros((4, 5), np.uint8)))
    with pytest.raises(UsageError, match=r"b/7\.png is a grey image, the model takes colour images"):
        load_splits(folder(tmp_path))
    odd.write_bytes(png(np.zeros((4, 5, 4), np.uint8)))
    with pytest.raises(UsageError, match=r"b/7\.png has pixels of mode RGBA"):
        load_splits(folder(tmp_path))


def test_grey_images_for_a_colour_model(tmp_path):
    write_folder(tmp_path, ("a", "b"), 12, (4, 4))
    with pytest.raises(UsageError, match=r"a/0\.png is a grey image, the model takes colour images: convert it first"):
        load_splits(folder(tmp_path, channels=3))


def test_foreign_and_truncated_parquet_files(tmp_path):
    train, test = tmp_path / "train.parquet", tmp_path / "test.parquet"
    config = Parquet(source="parquet", train=train, test=test)
    with pytest.raises(UsageError, match=r"train\.parquet is not there"):
        load_splits(config)
    write_table(train, pictures(40, (4, 4)), np.arange(40) % 2)
    whole = train.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        train.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"train\.parquet is not a whole parquet file"):
            load_splits(config)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 20 + [1] * 20, "sorted by class"),
        ([-1, 1] * 20, "label -1"),
        ([0.5, 1.0] * 20, "labels must be whole numbers"),
        (["cat", "dog"] * 20, "labels must be whole numbers"),
        ([0, 1], "too few"),
    ],
)
def test_labels_that_make_no_sense(tmp_path, labels, message):
    cells = [png(image) for image in pictures(len(labels), (4, 4))]
    pq.write_table(pa.table({"image": cells, "label": labels}), tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=message):
        load_splits(Parquet(source="parquet", train=tmp_path / "t.parquet", test=tmp_path / "t.parquet"))


@pytest.mark.parametrize(
    "metadata", ["", "[" * 100_000, "[]", "{}", '{"info": {"features": {"label": {"names": 5}}}}', b"\xff"]
)
def test_class_names_that_make_no_sense(tmp_path, metadata):
    cells = [png(image) for image in pictures(20, (4, 4))]
    table = pa.table({"image": cells, "label": np.arange(20) % 2}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(FileFormatError, match="metadata has no feature 'label'"):
        load_splits(Parquet(source="parquet", train=tmp_path / "t.parquet", test=tmp_path / "t.parquet"))


def test_a_corrupt_image_in_a_table_is_named_by_its_row(tmp_path):
    cells = [png(image) for image in pictures(20, (4, 4))]
    cells[13] = cells[13][:50]
    pq.write_table(pa.table({"image": cells, "label": np.arange(20) % 2}), tmp_path / "t.parquet")
    with pytest.raises(FileFormatError, match=r"t\.parquet, row 13"):
        load_splits(Parquet(source="parquet", train=tmp_path / "t.parquet", test=tmp_path / "t.parquet"))
