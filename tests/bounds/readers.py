"""Every reader of files that may come from anywhere, by name: each takes the content and the path."""


def read_onnx(data, path):
    from bnn_toolchain.converters import onnx

    onnx.from_bytes(data)


def read_native(data, path):
    from bnn_toolchain.runtime.engines.native import library as native

    native.load(data)


def read_tflite(data, path):
    from bnn_toolchain.converters import lce

    lce.from_bytes(data)


def read_npy(data, path):
    from bnn_toolchain.runtime.bundle.arrays import read_array

    read_array(path, "|u1", (None, 4, 4, 1))


def read_manifest(data, path):
    from bnn_toolchain.runtime.bundle.format import read_manifest

    read_manifest(path.parent)


def read_checkpoint(data, path):
    from bnn_toolchain.training import checkpoint

    checkpoint.read(path)


def read_recipe(data, path):
    from bnn_toolchain.training.recipe import load_recipe

    load_recipe(str(path))


def read_input(data, path):
    from bnn_toolchain.training.run_folder import RunFolder

    RunFolder(path.parent).read_input()


def read_epochs(data, path):
    from bnn_toolchain.training.metrics import read_epochs

    read_epochs(path)


def read_parquet(data, path):
    from bnn_toolchain.data import tables
    from bnn_toolchain.data.config import Columns

    tables.read_parquet(path, Columns())


def read_image(data, path):
    from bnn_toolchain.data.images import ImageReader, read_file

    ImageReader(1, (4, 4)).read(read_file(path), str(path))


def read_greedily(data, path):
    """No reader of ours: what it takes must be seen."""
    taken = bytearray(50_000_000)
    for place in range(0, len(taken), 10):
        taken[place] = 1


READERS = {name.removeprefix("read_"): read for name, read in list(globals().items()) if name.startswith("read_")}
