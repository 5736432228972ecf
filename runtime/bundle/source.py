"""The training run that a bundle was exported from: named in its manifest, and found again."""

from __future__ import annotations

import os
from pathlib import Path

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.runtime.bundle.format import Bundle, Source, sha256


def source_of(run: Path, bundle: Path, checkpoint: str = "best.safetensors") -> Source:
    """The manifest's entry for the training ``run`` that ``bundle`` is exported from.

    Raises:
        UsageError: the checkpoint cannot be read.
    """
    try:
        digest = sha256(run / checkpoint)
    except OSError as error:
        raise UsageError(f"cannot read {run / checkpoint}: {error.strerror}") from error
    return Source(
        run=Path(os.path.relpath(run.resolve(), bundle.resolve())).as_posix(), checkpoint=checkpoint, sha256=digest
    )


def run_folder(bundle: Bundle) -> Path | None:
    """The training run that the model was exported from, if the manifest names one and it is still there."""
    source = bundle.manifest.source
    if source is None or not (bundle.path / source.run / source.checkpoint).is_file():
        return None
    return (bundle.path / source.run).resolve()


def exported_run(bundle: Bundle) -> Path:
    """The bundle's training run, whose checkpoint is still the one that was exported.

    Raises:
        Unavailable: the manifest names none, or it is not there.
        UsageError: the checkpoint has changed.
    """
    source, run = bundle.manifest.source, run_folder(bundle)
    if source is None or run is None:
        named = "none" if source is None else f"{source.run}, seen from the bundle"
        raise Unavailable(
            f"the torch engine needs the training run that {bundle.path} was exported from, which is not here "
            f"(the manifest names {named}): leave this engine out"
        )
    if sha256(run / source.checkpoint) != source.sha256:
        raise UsageError(
            f"{run / source.checkpoint} has changed since {bundle.path} was exported: "
            "export again, or leave the torch engine out"
        )
    return run
