"""Asking an engine, and taking nothing for granted: what comes back is checked before it is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import CheckFailed
from bnn_toolchain.runtime.bundle.digest import Hidden, digests
from bnn_toolchain.runtime.engines.engine import Activations, Session


@dataclass(frozen=True)
class Contender:
    """An engine, ready to be compared, and where it runs."""

    engine: str
    device: str
    session: Session
    kernels: Callable[[], Mapping[str, str]] = dict  # what computes each activation, where the engine says it

    def __str__(self) -> str:
        return f"{self.engine} on {self.device}"

    def ask(self, graph: Graph, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logits of ``images``, if they are those of a model like ``graph``.

        Raises:
            CheckFailed: they have another shape or type, or the engine changed the images.
        """
        given = images.copy()
        logits = self.session.run(given)
        self._check(graph, images, given, logits)
        return logits

    def ask_hidden(self, graph: Graph, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Activations]:
        """The logits and the binary activations that the engine shows.

        Raises:
            CheckFailed: as :meth:`ask`; or the model has no such activation, or one of another shape or type.
        """
        given = images.copy()
        logits, hidden = self.session.run_hidden(given)
        as_digests = self.session.contract(graph).as_digests
        for name, bits in hidden.items():
            if name not in graph.hidden_bits():
                raise CheckFailed(f"{self} yields bits of '{name}', which the model does not have")
            channels, *sides = graph.values[name].shape
            shape = (len(images),) if as_digests else (len(images), *sides, -(-channels // 8))
            dtype = np.dtype(np.uint64 if as_digests else np.uint8)
            if bits.shape != shape or bits.dtype != dtype:
                raise CheckFailed(
                    f"{self} yields bits of '{name}' as {bits.dtype} {list(bits.shape)}, not {dtype} {list(shape)}"
                )
        self._check(graph, images, given, logits)
        return logits, hidden

    def describe(self, graph: Graph, name: str, answers: NDArray[Any], expected: NDArray[Any]) -> str:
        """Where the activation ``name`` of one image first differs, and the kernel, if the engine says it."""
        kernel = self.kernels().get(name)
        where = describe_bits(graph, name, answers, expected)
        return f"{where} (kernel {kernel})" if kernel else where

    def expected(self, graph: Graph, hidden: Hidden, images: int) -> Activations:
        """The reference's ``hidden`` in the form in which this engine yields them."""
        if self.session.contract(graph).as_digests:
            return dict(zip(graph.hidden_bits(), digests(graph, hidden, images).T, strict=True))
        return dict(hidden)

    def _check(
        self, graph: Graph, images: NDArray[np.uint8], given: NDArray[np.uint8], logits: NDArray[np.float32]
    ) -> None:
        if not np.array_equal(images, given):
            raise CheckFailed(f"{self} changed the images that it was given")
        shape = (len(images), *graph.values[graph.output].shape)
        if logits.shape != shape or logits.dtype != np.float32:
            raise CheckFailed(f"{self} yields logits as {logits.dtype} {list(logits.shape)}, not float32 {list(shape)}")


def differing(answers: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    """Which images [N] have another binary activation, or other logits, to the last bit."""
    if answers.dtype == np.float32:
        answers, expected = (np.ascontiguousarray(x).view(np.uint32) for x in (answers, expected))
    unequal: NDArray[np.bool_] = (answers != expected).reshape(len(answers), -1).any(axis=1)
    return unequal


def differing_bits(answers: NDArray[np.uint8], expected: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which packed bits differ, those of the tail too: [..., C/8] -> bool [..., C rounded up to bytes]."""
    bits: NDArray[np.bool_] = np.unpackbits(answers ^ expected, axis=-1, bitorder="little").astype(np.bool_)
    return bits


def describe_bits(graph: Graph, name: str, answers: NDArray[Any], expected: NDArray[Any]) -> str:
    """Where the activation ``name`` of one image first differs: packed bits [H, W, C/8] or [F/8], or one digest."""
    if not answers.ndim:
        return f"the digest of '{name}': expected {expected:016x}, found {answers:016x}"
    *place, channel = (int(axis[0]) for axis in np.nonzero(differing_bits(answers, expected)))
    at = f"channel {channel}" + (f", row {place[0]}, column {place[1]}" if place else "")
    if channel >= graph.values[name].shape[0]:
        at += " (a tail bit: there is no such channel)"
    minus = bool(expected[*place, channel // 8] >> channel % 8 & 1)
    return f"'{name}', {at}: expected {'-1' if minus else '+1'}, found {'+1' if minus else '-1'}"


def describe_logits(graph: Graph, answers: NDArray[np.float32], expected: NDArray[np.float32]) -> str:
    """The logits [F] of one image where they differ most: the class, expected and found."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(answers.astype(np.float64) - expected)
    unequal = np.where(answers.view(np.uint32) == expected.view(np.uint32), -1.0, distance)
    index = int(np.argmax(np.where(np.isnan(answers), np.inf, unequal)))
    return f"the logit of '{graph.spec.classes[index]}': expected {expected[index]}, found {answers[index]}"
