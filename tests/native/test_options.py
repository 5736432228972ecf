"""The C API's options: a struct that can grow, and workers in any order that change no byte."""

import ctypes
import gc
import os
import random
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bnn_toolchain.converters.graph.ops import (
    BinaryDense,
    BinaryDenseThreshold,
    Flatten,
    Gemm,
    PixelInput,
    PRelu,
)
from bnn_toolchain.converters.onnx import to_bytes
from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.runtime.engines.native import abi
from bnn_toolchain.runtime.engines.native import library as native
from tests.converters.graphs import affine, fused, images, mixed, packed, threshold

from .agree import graph
from .host import kernel


def vectors(rng):
    """Dense layers over integers, bits with and without a broken byte, and reals, large enough to be shared."""
    weight, bias = rng.normal(size=(500, 530)).astype(np.float32), rng.normal(size=500).astype(np.float32)
    return graph(
        (1, 1, 600),
        PixelInput(100),
        Flatten(),
        BinaryDenseThreshold(BinaryDense(packed(rng, 700, 600), 600), threshold(rng, 700, 3000)),
        BinaryDenseThreshold(BinaryDense(packed(rng, 640, 700), 700), threshold(rng, 640)),
        BinaryDenseThreshold(BinaryDense(packed(rng, 520, 640), 640), threshold(rng, 520)),
        BinaryDense(packed(rng, 530, 520), 520),
        affine(rng, 530),
        PRelu(rng.normal(size=530).astype(np.float32)),
        Gemm(weight, bias),
    )


def serial(threads):
    return abi.Workers(threads, lambda count, task: [task(index, 0) for index in range(count)] and None)


def shuffled(threads):
    """Another order in every layer, and any worker."""
    draw = random.Random(0)

    def run(count, task):
        for index in draw.sample(range(count), count):
            task(index, draw.randrange(threads))

    return abi.Workers(threads, run)


def at_once(threads):
    """Real threads, each a worker of its own, that take the next task as they get to it."""

    def run(count, task):
        left, lock = iter(range(count)), threading.Lock()

        def work(worker):
            while True:
                with lock:
                    index = next(left, None)
                if index is None:
                    return
                task(index, worker)

        pool = [threading.Thread(target=work, args=(worker,)) for worker in range(threads)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()

    return abi.Workers(threads, run)


GRAPHS = (fused, mixed, vectors)


def same(session, pixels, expected):
    """Every bit of the session's logits and hidden values is that of ``expected``, another session's."""
    found, bits = session.run_hidden(pixels)
    assert found.tobytes() == expected[0].tobytes()
    assert {name: b.tobytes() for name, b in bits.items()} == {name: b.tobytes() for name, b in expected[1].items()}


@pytest.mark.parametrize("workers", [serial, shuffled, at_once])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("make", GRAPHS)
def test_the_bytes_are_the_same_for_any_workers(make, threads, workers):
    rng = np.random.default_rng(5)
    graph = make(rng)
    pixels = images(rng, graph.spec, 4)
    for kernels in native.kernel_sets():
        expected = native.load(to_bytes(graph), kernels).run_hidden(pixels)
        for together in (1, 3):
            same(native.load(to_bytes(graph), kernels, workers(threads), images=together), pixels, expected)


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("make", GRAPHS)
def test_the_bytes_are_the_same_for_any_number_of_threads(make, threads):
    rng = np.random.default_rng(6)
    graph = make(rng)
    pixels = images(rng, graph.spec, 4)
    for kernels in native.kernel_sets():
        expected = native.load(to_bytes(graph), kernels).run_hidden(pixels)
        session = native.load(to_bytes(graph), kernels, threads=threads)
        for _ in range(50):  # threads that just woke up, and some that fell asleep
            same(session, pixels, expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", GRAPHS)
def test_the_bytes_are_the_same_for_any_number_of_images_together(make, threads):
    rng = np.random.default_rng(7)
    graph = make(rng)
    pixels = images(rng, graph.spec, 11)
    for kernels in native.kernel_sets():
        expected = native.load(to_bytes(graph), kernels).run_hidden(pixels)
        for together in (2, 3, 4, 7, 8, 11, 64):
            session = native.load(to_bytes(graph), kernels, threads=threads, images=together)
            for count in (11, 1):  # buffers that hold what others left
                same(session, pixels[:count], (expected[0][:count], {k: v[:count] for k, v in expected[1].items()}))
            assert session.run(pixels[:0]).shape == (0, *expected[0].shape[1:])


def test_dense_layers_of_several_images_look_their_weights_up_together():
    """Bits of whole words go straight to their result, as a convolution's do, where images are computed together."""
    data = to_bytes(vectors(np.random.default_rng(7)))
    for kernels in native.kernel_sets():
        names = [[n.kernel for n in native.load(data, kernels, images=together).nodes] for together in (1, 2)]
        assert names[0][4] == kernel("bits", kernels)
        assert names[1][4] == kernel("bits" if kernels == "portable" else "direct", kernels, 640)


@pytest.mark.parametrize("together", [-1, 0, 4097, 2**31 - 1])
def test_numbers_of_images_that_cannot_be_together(together):
    data = to_bytes(fused(np.random.default_rng(6)))
    with pytest.raises(UsageError, match=f"{together} images together: from 1 to 4096 are possible"):
        native.load(data, images=together)
    if together != 0:  # which stands for 1
        options = abi.Options(ctypes.sizeof(abi.Options), abi.ABI, images=together)
        words = f"bnnt_open: {together} images together, from 1 to 4096 are possible"
        assert opened(ctypes.pointer(options)) == (4, words)


def test_values_grow_with_the_images():
    data = to_bytes(fused(np.random.default_rng(5)))
    sizes = [native.load(data, images=together).memory_bytes for together in (1, 5, 9)]
    assert sizes[2] - sizes[1] > 0.9 * (sizes[1] - sizes[0]) > 0


def threads_here():
    return len(list(Path("/proc/self/task").iterdir()))


def test_a_pool_has_no_more_threads_than_cpus_and_ends_with_its_session():
    rng = np.random.default_rng(6)
    graph = fused(rng)
    cpus, before = len(os.sched_getaffinity(0)), threads_here()
    session = native.load(to_bytes(graph), threads=1024)
    session.run(images(rng, graph.spec, 1))
    assert threads_here() - before == cpus - 1
    del session
    gc.collect()
    assert threads_here() == before


@pytest.mark.parametrize("threads", [-1, 1025, 10_000])
def test_numbers_of_threads_that_there_are_not(threads):
    with pytest.raises(UsageError, match="from 1 to 1024"):
        native.load(to_bytes(fused(np.random.default_rng(6))), threads=threads)


def test_every_task_runs_once_and_one_thread_needs_no_call():
    rng = np.random.default_rng(5)
    graph = fused(rng)
    counts = []

    def run(count, task):
        counts.append(count)
        for index in range(count):
            task(index, 0)

    native.load(to_bytes(graph), workers=abi.Workers(3, run)).run(images(rng, graph.spec, 1))
    assert counts and all(2 <= count <= 12 for count in counts)
    counts.clear()
    native.load(to_bytes(graph), workers=abi.Workers(1, run)).run(images(rng, graph.spec, 1))
    assert counts == []


def test_what_a_worker_raises_comes_out_and_the_session_goes_on():
    rng = np.random.default_rng(5)
    graph = fused(rng)
    pixels = images(rng, graph.spec, 1)
    fails = [True]

    def run(count, task):
        for index in range(count):
            if fails and index == 1:
                raise KeyboardInterrupt("of a worker")
            task(index, 0)

    session = native.load(to_bytes(graph), workers=abi.Workers(2, run))
    with pytest.raises(KeyboardInterrupt, match="of a worker"):
        session.run(pixels)
    fails.clear()
    assert session.run(pixels).tobytes() == native.load(to_bytes(graph)).run(pixels).tobytes()


def test_workers_that_leave_a_task_out():
    graph = fused(np.random.default_rng(5))
    workers = abi.Workers(2, lambda count, task: [task(index, 0) for index in range(1, count)] and None)
    with pytest.raises(UsageError, match="each must run once"):
        native.load(to_bytes(graph), workers=workers).run(images(np.random.default_rng(5), graph.spec, 1))


def test_scratch_grows_with_the_workers():
    data = to_bytes(fused(np.random.default_rng(5)))
    sizes = [native.load(data, workers=serial(threads)).memory_bytes for threads in (1, 2, 3)]
    assert sizes[0] == native.load(data).memory_bytes
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


def opened(options):
    """What bnnt_open says to ``options``."""
    session = native.load(to_bytes(fused(np.random.default_rng(5))))
    library, error, needed = session._library, abi.Error(), ctypes.c_size_t()
    opened = ctypes.c_void_p()
    status = library.bnnt_open(
        session._model, len(session._model), ctypes.cast(options, ctypes.POINTER(abi.Options)), None, 0,
        ctypes.byref(opened), ctypes.byref(needed), ctypes.byref(error),
    )  # fmt: skip
    return status, error.text.decode()


class Grown(ctypes.Structure):
    _fields_ = (("options", abi.Options), ("later", ctypes.c_int64))


def test_a_struct_of_another_size():
    size = ctypes.sizeof(abi.Options)
    for given in (size, abi.Options.kernels.offset):  # a program of an older header lacks the last members
        assert opened(ctypes.pointer(abi.Options(given, abi.ABI)))[0] == abi.MEMORY_WANTED
    grown = Grown(abi.Options(ctypes.sizeof(Grown), abi.ABI), 0)
    assert opened(ctypes.pointer(grown))[0] == abi.MEMORY_WANTED
    grown.later = 1
    assert opened(ctypes.pointer(grown)) == (4, f"bnnt_open: an option at byte {size} that this library does not know")
    for size in (0, 8, 4097, 2**40):  # the last two: a struct that was never filled
        words = f"bnnt_open: options.struct_size is {size}: write sizeof(bnnt_options)"
        assert opened(ctypes.pointer(abi.Options(size, abi.ABI))) == (4, words)
    assert opened(None)[0] == abi.MEMORY_WANTED


def test_a_program_of_another_header():
    options = abi.Options(ctypes.sizeof(abi.Options), abi.ABI + 1)
    words = "the program was compiled for ABI 2 of bnnt, the library has 1: compile it with this library's bnnt.h"
    assert opened(ctypes.pointer(options)) == (4, words)


def test_a_library_of_another_abi(monkeypatch):
    monkeypatch.setattr(abi, "ABI", 2)
    abi.open_library.cache_clear()
    with pytest.raises(Unavailable, match=r"has ABI 1, not 2: delete its folder"):
        native.kernel_sets()


@pytest.mark.parametrize("threads", [-1, 1025, 2**31 - 1])
def test_numbers_of_threads_that_cannot_be(threads):
    with pytest.raises(UsageError, match=f"{threads} threads, from 1 to 1024 are possible"):
        native.load(to_bytes(fused(np.random.default_rng(5))), workers=serial(threads))


def test_threads_need_somebody_to_run_them():
    options = abi.Options(ctypes.sizeof(abi.Options), abi.ABI, 2)
    assert opened(ctypes.pointer(options)) == (4, "bnnt_open: 2 threads without parallel_for, which runs them")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", GRAPHS)
def test_a_run_asks_for_no_memory(here, tmp_path, make, threads):
    """The functions that give memory are hooked: those that this program calls itself are counted, too."""
    program, model = tmp_path / "allocations", tmp_path / "model.onnx"
    source = Path(__file__).parent / "allocations.cpp"
    compile_ = (*(sys.executable, "-m", "ziglang", "c++"), "-std=c++20", "-fno-builtin", f"-I{here.header.parent}")
    subprocess.run([*compile_, source, here.library, f"-Wl,-rpath,{here.library.parent}", "-o", program], check=True)
    model.write_bytes(to_bytes(make(np.random.default_rng(8))))
    done = subprocess.run([program, model, str(threads)], capture_output=True, text=True, check=True)
    before, during = map(int, re.fullmatch(r"(\d+) before, (\d+) in runs\n", done.stdout).groups())
    assert before >= 5
    assert during == 0
