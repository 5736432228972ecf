"""Engines against the reference, image by image: predictions, logits, every hidden bit, accuracy.

What an engine may do stands in its own :class:`bnn_toolchain.runtime.engines.contract.Contract`; all else is a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters import reference
from bnn_toolchain.converters.graph.classifier import check_classifier
from bnn_toolchain.converters.graph.graph import Graph, bits_in_front
from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.progress import Progress, uncounted
from bnn_toolchain.runtime.bundle.digest import Hidden
from bnn_toolchain.runtime.checks.answers import (
    Contender,
    describe_logits,
    differing,
    differing_bits,
)
from bnn_toolchain.runtime.checks.near_ties import near_ties
from bnn_toolchain.runtime.engines.contract import Contract
from bnn_toolchain.runtime.engines.engine import Activations

CHUNK = 200  # images at a time
HIDDEN_CHUNK = 50  # the same, where every hidden activation is kept

__all__ = ["Contender", "EngineResult", "LayerResult", "ValidationReport", "validate"]


@dataclass(frozen=True)
class LayerResult:
    """One binary activation, compared over all hidden images."""

    name: str
    bits: int  # compared, all images together
    images_differing: int
    first_differing: int | None  # index of the image
    images_wrong: int  # of those that differ, where the contract does not allow it


@dataclass(frozen=True)
class EngineResult:
    """What one engine on one device did, compared with the reference."""

    engine: str
    device: str
    contract: Contract
    images: int
    predictions_equal: int  # images
    near_ties: int  # images whose prediction differs as the contract allows
    logits_equal: int  # images whose logits are equal to the last bit
    logits_difference: float  # largest absolute difference, divided by the largest magnitude of the reference's logits
    images_exact: int  # images whose prediction and whose compared hidden bits are all equal
    hidden_images: int  # images whose hidden bits were compared
    hidden: tuple[LayerResult, ...]
    hidden_missing: tuple[str, ...]  # binary activations that the engine does not show
    correct: int | None  # images classified as labelled; None without labels
    failures: tuple[str, ...]  # what breaks the engine's contract, one sentence each; the last says where first

    @property
    def accuracy(self) -> float | None:
        """Share of images classified as labelled."""
        return None if self.correct is None else self.correct / self.images

    @property
    def bits_compared(self) -> int:
        return sum(layer.bits for layer in self.hidden)


@dataclass(frozen=True)
class ValidationReport:
    """All engines that were compared."""

    rows: tuple[EngineResult, ...]

    def check(self) -> None:
        """Raise if an engine broke its contract.

        Raises:
            CheckFailed: the message has every failure.
        """
        failures = [f"{row.engine} on {row.device}: {failure}" for row in self.rows for failure in row.failures]
        if failures:
            raise CheckFailed("validation failed:\n" + "\n".join(f"  {failure}" for failure in failures))


def validate(
    graph: Graph,
    contenders: Sequence[Contender],
    images: NDArray[np.uint8],
    labels: NDArray[np.integer] | None = None,
    *,
    hidden_images: int = 100,
    progress: Progress = uncounted,
) -> ValidationReport:
    """Compare ``contenders`` with the reference on uint8 ``images`` [N, H, W, C].

    Hidden bits are compared on the first ``hidden_images`` of them, and on those whose logits differ by more than a
    contract that allows near ties. ``labels`` [N] are class indices. ``progress`` is told the number of images done,
    and of all.

    No number of an engine may be NaN, even where the reference's is. A prediction that differs is a near tie if the
    contract allows the image's logits to differ as they do, else a failure.

    Raises:
        UsageError: no images, or images or labels of another size.
        Unsupported: the model does not yield one logit for each class.
        CheckFailed: an engine yields something of another shape or type, or changes the images.
        FileFormatError: what a device sent back is not what it should be.
    """
    check_classifier(graph)
    if not len(images):
        raise UsageError("there are no images to validate on")
    if labels is not None and labels.shape != images.shape[:1]:
        raise UsageError(f"{len(images)} images have labels of shape {list(labels.shape)}")
    judges = [_Judge(graph, contender) for contender in contenders]
    hidden_images = min(hidden_images, len(images))
    expected = []
    # A chunk either compares hidden bits on all of its images or on none.
    # Digests of bits take no memory, and a device is asked as seldom as possible.
    chunk = CHUNK if all(judge.contract.as_digests for judge in judges) else HIDDEN_CHUNK
    cuts = [*range(0, hidden_images, chunk), *range(hidden_images, len(images), CHUNK), len(images)]
    for start, end in pairwise(cuts):
        part = images[start:end]
        logits, hidden = reference.run_hidden(graph, part, None if start < hidden_images else ())
        expected.append(logits)
        for judge in judges:
            judge.see(start, part, hidden if start < hidden_images else None)
        progress(end, len(images))
    return ValidationReport(tuple(judge.result(images, np.concatenate(expected), labels) for judge in judges))


class _Judge:
    """Collects what one engine answers, and judges it by the engine's contract."""

    def __init__(self, graph: Graph, contender: Contender) -> None:
        self.graph, self.contender = graph, contender
        self.contract = contender.session.contract(graph)
        self.in_front = bits_in_front(graph)
        self.logits: list[NDArray[np.float32]] = []
        self.compared: list[int] = []  # images, by index, whose hidden bits were compared
        self.missing: set[str] = set()
        self.differ: dict[str, list[int]] = {}  # images by activation
        self.wrong: dict[str, list[int]] = {}  # those of them that the contract does not allow
        self.first: tuple[int, str] | None = None  # the first image with a wrong bit, and where

    def see(self, start: int, images: NDArray[np.uint8], expected: Hidden | None) -> None:
        """Ask for images from the ``start``-th on; compare bits if the ``expected`` ones are given."""
        if expected is None:
            self.logits.append(self.contender.ask(self.graph, images))
        else:
            self.logits.append(self._compare(np.arange(start, start + len(images)), images, expected))

    def _compare(self, indices: NDArray[np.intp], images: NDArray[np.uint8], hidden: Hidden) -> NDArray[np.float32]:
        """The logits; differing and wrong bits are noted."""
        logits, answers = self.contender.ask_hidden(self.graph, images)
        expected = self.contender.expected(self.graph, hidden, len(images))
        self.compared += indices.tolist()
        self.missing.update({*expected, *self.contract.shows} - answers.keys())
        differ = {name: differing(answers[name], bits) for name, bits in expected.items() if name in answers}
        wrong = differ if self.contract.exact_bits else self._wrong(images, differ, answers, expected)
        for name in differ:
            self.differ.setdefault(name, []).extend(indices[differ[name]].tolist())
            self.wrong.setdefault(name, []).extend(indices[wrong[name]].tolist())
        failing = np.flatnonzero(np.any(list(wrong.values()), axis=0)) if wrong else np.empty(0, np.intp)
        if len(failing) and self.first is None:
            image = failing[0]
            name = next(name for name in wrong if wrong[name][image])
            where = self.contender.describe(self.graph, name, answers[name][image], expected[name][image])
            self.first = int(indices[image]), where
        return logits

    def _wrong(
        self,
        images: NDArray[np.uint8],
        differ: dict[str, NDArray[np.bool_]],
        answers: Activations,
        expected: Activations,
    ) -> dict[str, NDArray[np.bool_]]:
        """Which images [N] have a bit that differs, in no layer behind another one that does, and is no near tie."""
        wrong = {}
        for name, differs in differ.items():
            in_front = [differ[before] for before in self.in_front[name] & differ.keys()]
            judged = np.flatnonzero(differs & ~np.any(in_front, axis=0)) if in_front else np.flatnonzero(differs)
            wrong[name] = np.zeros(len(images), np.bool_)
            if len(judged):
                bits = differing_bits(answers[name][judged], expected[name][judged])
                allowed = near_ties(self.graph, name, answers, images[judged], self.contract)
                if allowed is not None:
                    bits[..., : allowed.shape[-1]] &= ~allowed
                wrong[name][judged] = bits.reshape(len(judged), -1).any(axis=1)
        return wrong

    def result(
        self, images: NDArray[np.uint8], expected: NDArray[np.float32], labels: NDArray[np.integer] | None
    ) -> EngineResult:
        """The verdict on all images."""
        logits, contract = np.concatenate(self.logits), self.contract
        unequal = differing(logits, expected)
        nan: NDArray[np.bool_] = np.isnan(logits.max(axis=1))
        with np.errstate(invalid="ignore"):
            distance = np.where(logits == expected, 0, np.abs(logits.astype(np.float64) - expected)).max(axis=1)
        magnitude = float(np.abs(expected, where=np.isfinite(expected), out=np.zeros_like(expected)).max()) or 1.0
        beyond = ~(distance <= contract.logits * magnitude) if contract.logits else unequal
        if not contract.exact_bits:
            self._look_again(images, np.setdiff1d(np.flatnonzero(beyond), self.compared))
        wrong_bits, other_bits = (_mask(len(images), noted) for noted in (self.wrong, self.differ))
        beyond &= ~other_bits | wrong_bits  # a bit that is a near tie answers for the logits behind it
        best = logits.argmax(axis=1)
        turned: NDArray[np.bool_] = np.not_equal(best, expected.argmax(axis=1))
        failures = self._failures(len(images), nan, turned & (beyond | nan), beyond)
        if self.first is not None or (nan | beyond).any():
            failures.append(self._where(logits, expected, nan | beyond))
        return EngineResult(
            engine=self.contender.engine,
            device=self.contender.device,
            contract=contract,
            images=len(images),
            predictions_equal=int((~turned).sum()),
            near_ties=int((turned & ~beyond & ~nan).sum()),
            logits_equal=int((~unequal).sum()),
            logits_difference=float(distance.max(where=np.isfinite(distance), initial=0.0)) / magnitude,
            images_exact=int((~turned & ~other_bits).sum()),
            hidden_images=len(self.compared),
            hidden=tuple(self._layer(name) for name in self.differ),
            hidden_missing=tuple(name for name in self.graph.hidden_bits() if name in self.missing),
            correct=None if labels is None else int((best == labels).sum()),
            failures=tuple(failures),
        )

    def _look_again(self, images: NDArray[np.uint8], suspects: NDArray[np.intp]) -> None:
        """Compare the hidden bits of images whose logits alone would fail."""
        for start in range(0, len(suspects), HIDDEN_CHUNK):
            indices = suspects[start : start + HIDDEN_CHUNK]
            self._compare(indices, images[indices], reference.run_hidden(self.graph, images[indices])[1])

    def _layer(self, name: str) -> LayerResult:
        differ = self.differ[name]
        bits = prod(self.graph.values[name].shape) * len(self.compared)
        return LayerResult(name, bits, len(differ), differ[0] if differ else None, len(self.wrong[name]))

    def _failures(
        self, images: int, nan: NDArray[np.bool_], predictions: NDArray[np.bool_], beyond: NDArray[np.bool_]
    ) -> list[str]:
        missing = (name for name in self.contract.shows if name in self.missing)
        failures = [f"it shows no bits of '{name}', which its contract promises" for name in missing]
        if nan.any():
            failures.append(f"the logits of {nan.sum()} of {images} images are NaN, first of image {nan.argmax()}")
        if predictions.any():
            failures.append(f"{predictions.sum()} of {images} predictions differ")
        if beyond.any():
            limit = self.contract.logits
            much = f", by more than {limit:.0e} of the largest" if limit else ""
            failures.append(f"the logits of {beyond.sum()} of {images} images differ{much}")
        for name, wrong in self.wrong.items():
            if wrong:
                count = f"{len(wrong)} of {len(self.compared)} images"
                failures.append(f"the bits of '{name}' differ on {count}, first on image {wrong[0]}")
        return failures

    def _where(self, logits: NDArray[np.float32], expected: NDArray[np.float32], failing: NDArray[np.bool_]) -> str:
        """The first image that fails: the layer, what was expected and what was found."""
        image = int(failing.argmax()) if failing.any() else len(failing)
        if self.first is not None and self.first[0] <= image:
            return f"first: image {self.first[0]}, {self.first[1]}"
        return f"first: image {image}, {describe_logits(self.graph, logits[image], expected[image])}"


def _mask(images: int, noted: dict[str, list[int]]) -> NDArray[np.bool_]:
    """bool [images]: which of them are noted for some activation."""
    mask = np.zeros(images, np.bool_)
    for indices in noted.values():
        mask[indices] = True
    return mask
