"""What an engine promises: how far its answers may lie from the reference's. Each engine states it in its own file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contract:
    """What an engine promises of one model; as it stands, equality with the reference to the last bit.

    A bit may differ only next to the point where it switches, and where no bit in front of it differs: a sign of a real
    that is at most ``reals`` times as large as the largest of its layer on that image, and in the activations
    ``rounded`` a threshold that the whole number in front just reaches, or misses by 1. What such a bit leads to, on
    that image, is not judged. On every other image no logit may differ by more than ``logits`` times the largest of
    the reference's.
    """

    shows: tuple[str, ...]  # the binary activations whose bits the engine yields
    logits: float = 0.0
    reals: float = 0.0
    rounded: tuple[str, ...] = ()
    as_digests: bool = False  # it yields one digest of an activation's bits for each image instead of the bits

    @property
    def exact_bits(self) -> bool:
        """Whether no bit may differ at all."""
        return not self.reals and not self.rounded
