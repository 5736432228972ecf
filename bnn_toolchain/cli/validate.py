"""`bnnt validate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table, progress_bars
from bnn_toolchain.runtime.devices.device import FORMS
from bnn_toolchain.runtime.engines.names import ENGINES

if TYPE_CHECKING:
    from bnn_toolchain.runtime.checks.validate import ValidationReport


def validate(
    model: Annotated[Path, typer.Argument(help="A bundle of `bnnt export`, or a model file.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine",
            help=f"{', '.join(ENGINES)}; repeatable. Without it: native, and torch where the training run is there.",
        ),
    ] = None,
    on: Annotated[str, typer.Option("--on", help=f"{FORMS}.")] = "local",
    samples: Annotated[str, typer.Option("--samples", help="The first so many test images, or all.")] = "all",
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", min=0, help="How many of them have their hidden bits compared: 100 here, all on a device."
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            "--module",
            help="FILE:NAME: a module of your own as torch. This runs your Python FILE, in which NAME is an nn.Module "
            "or makes one, from nothing or from the InputSpec. The weights are those of the bundle's training run.",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=1024, help="Of the native engine; never more than there are CPUs.")
    ] = 1,
    json: Json = False,
) -> None:
    """Compare engines with the reference interpreter: predictions, logits and every hidden bit.

    On a device the golden vectors come first, then the test images in parts. Exits with 1 if an engine answers
    anything that it may not.

    Examples: bnnt validate bundle --engine native --engine onnxruntime; bnnt validate bundle --on ssh://pi@raspberrypi
    """
    from bnn_toolchain.api import module_for, validate_model
    from bnn_toolchain.errors import UsageError

    if samples != "all" and not (samples.isdecimal() and int(samples[:9]) > 0):
        raise UsageError(f"--samples {samples}: write a number of images, at least 1, or all")
    count = None if samples == "all" else int(samples[:9])

    own = None if module is None else module_for(model, module, note)
    with progress_bars("comparing", "sending") as (progress, sending):
        report = validate_model(
            model,
            engine or (),
            on,
            count,
            hidden,
            module=own,
            threads=threads,
            announce=note,
            progress=progress,
            sending=sending,
        )
    if json:
        print_json([asdict(row) for row in report.rows])
    else:
        _print(str(model), report)
    report.check()


def _print(title: str, report: ValidationReport) -> None:
    rows = []
    for row in report.rows:
        differing = sum(layer.images_differing > 0 for layer in row.hidden)
        near = f", {row.near_ties} near ties" if row.near_ties else ""
        tied = " at near ties" if differing and not any(layer.images_wrong for layer in row.hidden) else ""
        missing = f", {len(row.hidden_missing)} not shown" if row.hidden_missing else ""
        bits = f"{row.bits_compared:,} bits of {row.hidden_images} images: {differing} of {len(row.hidden)} layers"
        rows.append(
            (
                row.engine,
                row.device,
                f"{row.predictions_equal} of {row.images}{near}",
                f"{row.logits_equal} of {row.images}",
                f"{row.logits_difference:.1e}",
                f"{bits} differ{tied}{missing}",
                f"{row.accuracy:.2%}" if row.accuracy is not None else "",
            )
        )
    columns = ("engine", "device", "predictions equal", "logits equal", "logits differ by", "hidden bits", "accuracy")
    print_table(f"{title}: compared with the reference", columns, rows, left=2)
