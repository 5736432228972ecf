"""Hostile files of the other kinds that may come from anywhere: bundles, run folders, checkpoints, recipes, arrays."""

import io
import json
from dataclasses import dataclass, fields
from importlib import resources

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from bnn_toolchain.training.metrics import Epoch

MEGABYTE = 1_000_000
LISTS, DEPTH = b"[]," * (MEGABYTE // 3), b"[" * MEGABYTE


@dataclass(frozen=True)
class Kind:
    """What one reader gets: a valid file, and the hostile ones by what is wrong with them."""

    name: str  # that the file must have
    valid: bytes
    hostile: dict[str, bytes]

    def small(self):
        return self.valid

    def files(self):
        return self.hostile


def npy_header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def header(shape):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return npy_header(text.ljust(117) + b"\n")


NPY = Kind(
    "images.npy",
    header("(2, 4, 4, 1)") + bytes(32),
    {
        "2^62 images": header(f"({2**62}, 4, 4, 1)") + bytes(MEGABYTE),
        "10^70 images": header(f"({10**70}, 4, 4, 1)"),
        "a header of 64 KB": npy_header(b" " * 65535),
        "a header of spaces": npy_header(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1" + b" " * 65000),
    },
)

MANIFEST = json.dumps(
    {
        "format": 1,
        "versions": {"bnnt": "0", "torch": "0", "onnx": "0"},
        "input": {"height": 4, "width": 4, "channels": 1, "scale": [1.0], "offset": [0.0], "classes": ["a", "b"]},
        "decided_by": "",
        "accuracy": None,
        "source": None,
        "targets": [],
        "files": {},
    }
).encode()


def manifest(key, value):
    """The manifest with other JSON for one key."""
    return json.dumps(json.loads(MANIFEST) | {key: "?"}).encode().replace(b'"?"', value)


def entries(one):
    """A megabyte of an object's entries."""
    count = MEGABYTE // (len(one) + 9)
    return b"{" + b",".join(b'"%06d":%s' % (i, one) for i in range(count)) + b"}"


BUNDLE = Kind(
    "manifest.json",
    MANIFEST,
    {
        "lists": manifest("files", b"[" + LISTS + b"0]"),
        "depth": DEPTH,
        "wrong files": manifest("files", entries(b"1")),
        "wrong targets": manifest("targets", b"[" + b"{}," * 60_000 + b"{}]"),
        "wrong fields": MANIFEST[:-1] + b"," + entries(b"1")[1:],
        "empty files": manifest("files", entries(b'{"bytes":1,"sha256":""}')),
        "many classes": manifest("input", b'{"classes":[' + b'"",' * 60_000 + b'""]}'),
    },
)

INPUT = Kind(
    "input.json",
    json.dumps(json.loads(MANIFEST)["input"]).encode(),
    {
        "lists": b'{"classes":[' + LISTS + b"0]}",
        "depth": DEPTH,
        "a long text": b'{"height":"' + b"9" * MEGABYTE + b'"}',
        "a long number": b'{"height":' + b"9" * MEGABYTE + b"}",
    },
)

EPOCHS = Kind(
    "metrics.jsonl",
    json.dumps({field.name: {} if "dict" in str(field.type) else 1 for field in fields(Epoch)}).encode() + b"\n",
    {
        "lists": b"[" + LISTS + b"0]\n",
        "depth": DEPTH + b"\n",
        "empty lines": b"\n" * MEGABYTE,
        "a wrong line": b'{"epoch": [' + b"1," * 60_000 + b"1]}\n",
    },
)


def safetensors(tensors):
    text = json.dumps(tensors, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text


def nothing(count):
    """So many tensors without elements."""
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    progress = json.dumps({"epoch": 1})
    return safetensors({"__metadata__": {"bnnt": progress}} | {f"{i}": tensor for i in range(count)})


CHECKPOINT = Kind(
    "best.safetensors",
    nothing(2),
    {
        "18,000 empty tensors": nothing(18_000),
        "a header of 2^60": (2**60).to_bytes(8, "little") + b"{}",
        "JSON depth": len(DEPTH).to_bytes(8, "little") + DEPTH,
        "JSON lists": (len(LISTS) + 2).to_bytes(8, "little") + b"[" + LISTS + b"]",
        "a tensor of 2^124": safetensors({"a": {"dtype": "F32", "shape": [2**31] * 4, "data_offsets": [0, 4]}}),
        "metadata of a megabyte": safetensors({"__metadata__": {"bnnt": "[" * MEGABYTE}}),
    },
)

RECIPE = Kind(
    "recipe.yaml",
    (resources.files("bnn_toolchain.recipes") / "digits.yaml").read_bytes(),
    {
        "aliases of aliases": b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 40)),
        "depth": b"a: " + DEPTH,
        "scalars": b"a: [" + b"x," * (MEGABYTE // 2) + b"x]",
        "as many scalars as may be": b"a: [" + b"x," * 8000 + b"x]",
        "keys": b"".join(b"k%d: 1\n" % i for i in range(100_000)),
        "a long text": b"model: " + b"x" * MEGABYTE,
    },
)


def parquet(rows, size):
    """A table of one image of ``size`` bytes, so many times, which parquet stores once."""
    image = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([b"\x89PNG" + b"x" * size]))
    labels = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([1]))
    file = io.BytesIO()
    pq.write_table(pa.table({"image": image, "label": labels}), file, store_schema=False)
    return file.getvalue()


PARQUET = Kind(
    "train.parquet",
    parquet(3, 100),
    {
        "an image 1,000,000 times": parquet(1_000_000, 20_000),
        "an image 10,000 times": parquet(10_000, 400_000),
        "truncated": parquet(3, 100)[:-20],
    },
)


def picture(width, height, format):
    """A black image."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, format)
    return file.getvalue()


IMAGE = Kind(
    "image.png",
    picture(4, 4, "PNG"),
    {
        "25 million pixels": picture(5000, 5000, "PNG"),
        "100 million pixels": picture(10_000, 10_000, "PNG"),
        "25 million pixels, JPEG": picture(5000, 5000, "JPEG"),
    },
)
