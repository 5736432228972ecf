"""`bnnt export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json
from bnn_toolchain.errors import UsageError
from bnn_toolchain.runtime.targets.target import TARGET_NAMES, targets_from

TARGETS = ", ".join(TARGET_NAMES)


def export(
    model: Annotated[Path, typer.Argument(help="A run folder of `bnnt train`, or an .onnx or .tflite file.")],
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="lce: .tflite for Larq Compute Engine; native: the engine; onnx is always there."
        ),
    ] = "onnx,native",
    target: Annotated[
        list[str] | None, typer.Option("--target", help=f"{TARGETS}; repeatable. host if not given.")
    ] = None,
    cpu: Annotated[
        str | None, typer.Option("--cpu", help="The oldest ARM CPU to run on, such as cortex-a72; any if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The bundle; MODEL-bundle if not given.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Where the run's images are now, if not where they were.")
    ] = None,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="Do without them: golden images are random, accuracy is not measured.")
    ] = False,
    json: Json = False,
) -> None:
    """Export a model as a bundle: one ONNX file, golden vectors, and for each target the native engine.

    Every format is checked against the reference interpreter before the command says done. Accuracy is that on the
    images that the run was tested on: where those changed, nothing is exported.

    Example: bnnt export runs/digits --format onnx,lce,native --target host --target arm64 --out bundle
    """
    from bnn_toolchain.api import export_model, formats_from

    chosen = formats_from(formats, targets=bool(target))
    targets = targets_from((target or ["host"]) if "native" in chosen else [], cpu)
    folder = out if out is not None else _beside(model)
    bundle = export_model(model, folder, targets, "lce" in chosen, note, data=data, use_data=not no_data)
    if json:
        print_json(bundle.manifest.model_dump(mode="json"))
        return
    accuracy, files = bundle.manifest.accuracy, bundle.manifest.files
    print(f"{folder}: model.onnx {len(bundle.model):,} bytes")
    if accuracy is not None:
        counts = f"{accuracy.correct} of {accuracy.images} images of {accuracy.data_set}"
        print(f"  test accuracy {accuracy.value:.2%} ({counts})")
    if bundle.tflite is not None:
        print(f"  model.tflite {len(bundle.tflite):,} bytes")
    for built in bundle.manifest.targets:
        print(f"  {built.folder}: libbnnt.so {files[f'{built.folder}/libbnnt.so'].bytes:,} bytes, bnnt.h, bnnt-run")


def _beside(model: Path) -> Path:
    """MODEL-bundle, with all of the model's name: nothing that is called otherwise gets the same bundle."""
    named = model if model.name not in ("", "..") else model.resolve()
    if not named.name:
        raise UsageError(f"{model} has no name to call the bundle by: give --out")
    return named.with_name(named.name + "-bundle")
