"""What bnnt-run prints: one JSON document, read without trust."""

from __future__ import annotations

from bnn_toolchain.errors import FileFormatError
from bnn_toolchain.files import Strict, parse


class Spread(Strict):
    """Microseconds of one run."""

    min: float
    median: float


class Bench(Strict):
    """--bench: runs of a batch each."""

    batch: int
    warm_up_runs: int
    runs: int
    load_us: float  # to read and to open the model
    yardstick_us: float  # what a fixed piece of work took meanwhile
    peak_bytes: int  # of the whole process
    cpu_us: Spread
    wall_us: Spread


class ProfiledNode(Strict):
    """The least time of one node, in microseconds."""

    name: str
    op: str
    kernel: str
    wall_us: float


class Profile(Strict):
    """--profile."""

    runs: int
    megahertz: int  # of the core meanwhile
    peaks: dict[str, int]  # multiply-accumulates in 1000 cycles on registers alone, by a kernel's method
    nodes: tuple[ProfiledNode, ...]


class GoldenLayer(Strict):
    """A binary activation, and on how many images its digest differs."""

    name: str
    mismatches: int


class GoldenCheck(Strict):
    """--golden: how many images have equal logits, and how many equal digests in all layers."""

    images: int
    logits_equal: int
    hidden_equal: int
    layers: tuple[GoldenLayer, ...]


class DescribedNode(Strict):
    """A node as the engine runs it; ``bytes`` is the size of its value for one image."""

    name: str
    op: str
    kernel: str
    kind: str
    shape: tuple[int, ...]
    bytes: int


class Printed(Strict):
    """Everything; what was not asked for is None."""

    version: str
    kernels: str
    threads: int = 1
    memory_bytes: int | None = None  # --describe, and the next three
    input: str | None = None
    outputs: int | None = None
    nodes: tuple[DescribedNode, ...] | None = None
    images: int | None = None  # --images: how many were run
    golden: GoldenCheck | None = None
    bench: Bench | None = None
    profile: Profile | None = None


def read_printed(text: bytes) -> Printed:
    """What the program printed.

    Raises:
        FileFormatError: it is something else.
    """
    try:
        return parse(Printed, text)
    except ValueError as error:
        raise FileFormatError(f"bnnt-run printed what it never prints: {error}") from error
