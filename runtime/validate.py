"""Engines against the reference, image by image: predictions, logits, every hidden bit, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import frexp, prod

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import reference
from bnn_toolchain.converters.graph import Graph
from bnn_toolchain.converters.ops import BinaryConv2d, BinaryDense, Conv, Gemm, GlobalAveragePool, Kind
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.runtime.digest import Hidden, digests
from bnn_toolchain.runtime.engines.engine import EngineName, Session
from bnn_toolchain.runtime.engines.native_program import ProgramSession

LCE_LOGITS = 1e-5  # LCE rounds the last multiplication and addition in its own way
CHUNK = 200  # images at a time
HIDDEN_CHUNK = 50  # the same, where every hidden activation is kept


@dataclass(frozen=True)
class Contender:
    """An engine, ready to be compared, and where it runs."""

    engine: EngineName
    device: str
    session: Session | ProgramSession


@dataclass(frozen=True)
class Layer:
    """One binary activation, compared over all hidden images."""

    name: str
    bits: int  # compared, all images together
    images_differing: int
    first_differing: int | None  # index of the image


@dataclass(frozen=True)
class Row:
    """What one engine on one device did, compared with the reference."""

    engine: str
    device: str
    images: int
    predictions_equal: int  # images
    logits_equal: int  # images whose logits are equal to the last bit
    logits_difference: float  # largest absolute difference, divided by the largest magnitude of the reference's logits
    images_exact: int  # images whose prediction and whose compared hidden bits are all equal
    hidden_images: int
    hidden: tuple[Layer, ...]
    hidden_missing: tuple[str, ...]  # binary activations that the engine does not show
    correct: int | None  # images classified as labelled; None without labels
    exact_bits: bool  # whether equal hidden bits are part of the engine's contract for this model
    exact_logits: bool  # whether equal logits are
    logits_limit: float | None  # the largest logits_difference that the engine may have; None: any

    @property
    def accuracy(self) -> float | None:
        """Share of images classified as labelled."""
        return None if self.correct is None else self.correct / self.images

    @property
    def bits_compared(self) -> int:
        return sum(layer.bits for layer in self.hidden)

    @property
    def failures(self) -> tuple[str, ...]:
        """What breaks the engine's contract, one sentence each."""
        found = []
        if self.predictions_equal < self.images:
            found.append(f"{self.images - self.predictions_equal} of {self.images} predictions differ")
        if self.exact_logits and self.logits_equal < self.images:
            found.append(f"the logits of {self.images - self.logits_equal} of {self.images} images differ")
        if self.logits_limit is not None and self.logits_difference > self.logits_limit:
            found.append(f"the logits differ by {self.logits_difference:.1e}, more than {self.logits_limit:.0e}")
        if self.exact_bits:
            found += [
                f"the bits of '{layer.name}' differ on {layer.images_differing} of {self.hidden_images} images, "
                f"first on image {layer.first_differing}"
                for layer in self.hidden
                if layer.images_differing
            ]
        return tuple(f"{self.engine} on {self.device}: {each}" for each in found)


@dataclass(frozen=True)
class Report:
    """All engines that were compared."""

    rows: tuple[Row, ...]

    def check(self) -> None:
        """Raise if an engine broke its contract.

        Raises:
            CheckFailed: the message has every failure.
        """
        failures = [failure for row in self.rows for failure in row.failures]
        if failures:
            raise CheckFailed("validation failed:\n" + "\n".join(f"  {failure}" for failure in failures))


def validate(
    graph: Graph,
    contenders: Sequence[Contender],
    images: NDArray[np.uint8],
    labels: NDArray[np.integer] | None = None,
    *,
    hidden_images: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare ``contenders`` with the reference on uint8 ``images`` [N, H, W, C].

    Hidden bits are compared on the first ``hidden_images`` of them. ``labels`` [N] are class indices. ``progress`` is
    told the number of images done, and of all.

    Every engine must predict as the reference does. Exact hidden bits and logits are the contract of native and the
    reference always, of onnxruntime where the model sums no reals (their order is its own). Exact hidden bits are
    that of LCE there (its logits may differ by ``LCE_LOGITS``), and of torch where, besides, the input's scale is a
    power of two.

    Raises:
        UsageError: no images, or images or labels of another size.
        FileFormatError: what a device sent back is not what it should be.
    """
    if not len(images):
        raise UsageError("there are no images to validate on")
    if labels is not None and labels.shape != images.shape[:1]:
        raise UsageError(f"{len(images)} images have labels of shape {list(labels.shape)}")
    tallies = [_Tally() for _ in contenders]
    # A chunk either compares hidden bits on all of its images or on none.
    starts = [*range(0, min(hidden_images, len(images)), HIDDEN_CHUNK), *range(hidden_images, len(images), CHUNK)]
    for start, end in zip(starts, [*starts[1:], len(images)], strict=True):
        part = images[start:end]
        expected, expected_hidden = reference.run_hidden(graph, part, None if start < hidden_images else ())
        for contender, tally in zip(contenders, tallies, strict=True):
            if start < hidden_images:
                logits, differing = _run_hidden(contender.session, graph, part, expected_hidden)
                tally.add_hidden(start, differing)
            else:
                logits = contender.session.run(part)
            tally.add(logits, expected, None if labels is None else labels[start:end])
        if progress:
            progress(end, len(images))
    compared = min(hidden_images, len(images))
    return Report(
        tuple(_row(graph, c, t, len(images), compared, labels) for c, t in zip(contenders, tallies, strict=True))
    )


def _run_hidden(
    session: Session | ProgramSession, graph: Graph, images: NDArray[np.uint8], expected: Hidden
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.bool_]]]:
    """The logits, and for each binary activation which images [N] differ from ``expected``."""
    if isinstance(session, ProgramSession):
        logits, found = session.run_digests(images)
        differs = found != digests(graph, expected, len(images))
        return logits, {name: differs[:, column] for column, name in enumerate(graph.hidden_bits())}
    logits, hidden = session.run_hidden(images)
    differing = {}
    for name, bits in hidden.items():
        if name not in expected or bits.shape != expected[name].shape:
            raise CheckFailed(f"the engine yields bits {list(bits.shape)} of '{name}', which the model does not have")
        differing[name] = (bits != expected[name]).reshape(len(images), -1).any(axis=1)
    return logits, differing


@dataclass
class _Tally:
    """What was counted so far for one engine."""

    predictions_equal: int = 0
    logits_equal: int = 0
    difference: float = 0.0
    magnitude: float = 0.0
    correct: int = 0
    images: int = 0
    inexact: set[int] = field(default_factory=set)  # indices of images
    differing: dict[str, list[int]] = field(default_factory=dict)  # indices of images by activation

    def add(
        self, logits: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.integer] | None
    ) -> None:
        if logits.shape != expected.shape or logits.dtype != np.float32:
            raise CheckFailed(f"the engine yields {logits.dtype} {list(logits.shape)}, not float32 {expected.shape}")
        found, wanted = (np.ascontiguousarray(x).reshape(len(x), -1) for x in (logits, expected))
        self.logits_equal += int((found.view(np.uint32) == wanted.view(np.uint32)).all(axis=1).sum())
        other = np.flatnonzero(found.argmax(axis=1) != wanted.argmax(axis=1))
        self.predictions_equal += len(found) - len(other)
        self.inexact.update((self.images + other).tolist())
        self.images += len(found)
        self.difference = max(self.difference, float(np.abs(found.astype(np.float64) - wanted).max()))
        self.magnitude = max(self.magnitude, float(np.abs(wanted).max()))
        if labels is not None:
            self.correct += int((found.argmax(axis=1) == labels).sum())

    def add_hidden(self, start: int, differing: dict[str, NDArray[np.bool_]]) -> None:
        for name, differs in differing.items():
            found = (start + np.flatnonzero(differs)).tolist()
            self.differing.setdefault(name, []).extend(found)
            self.inexact.update(found)


def _row(
    graph: Graph,
    contender: Contender,
    tally: _Tally,
    images: int,
    hidden_images: int,
    labels: NDArray[np.integer] | None,
) -> Row:
    layers = tuple(
        Layer(name, prod(graph.values[name].shape) * hidden_images, len(wrong), wrong[0] if wrong else None)
        for name, wrong in tally.differing.items()
    )
    lce = contender.engine.startswith("lce")
    own_order = (lce or contender.engine in ("onnxruntime", "torch")) and _sums_reals(graph)
    rounds_input = contender.engine == "torch" and any(frexp(scale)[0] != 0.5 for scale in graph.spec.scale)
    return Row(
        engine=contender.engine,
        device=contender.device,
        images=images,
        predictions_equal=tally.predictions_equal,
        logits_equal=tally.logits_equal,
        logits_difference=tally.difference / tally.magnitude if tally.magnitude else tally.difference,
        images_exact=images - len(tally.inexact),
        hidden_images=hidden_images,
        hidden=layers,
        hidden_missing=tuple(name for name in graph.hidden_bits() if hidden_images and name not in tally.differing),
        correct=None if labels is None else tally.correct,
        exact_bits=not own_order and not rounds_input,
        exact_logits=contender.engine != "torch" and not lce and not own_order,
        logits_limit=LCE_LOGITS if lce and not own_order else None,
    )


def _sums_reals(graph: Graph) -> bool:
    """Whether some layer adds up products of reals, whose result depends on the order."""
    return any(
        isinstance(node.op, Conv | Gemm | GlobalAveragePool)
        or (isinstance(node.op, BinaryConv2d | BinaryDense) and graph.values[node.inputs[0]].kind is Kind.REAL)
        for node in graph.nodes
    )
