"""`bnnt export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json


def export(
    run: Annotated[Path, typer.Argument(help="A run folder of `bnnt train`.")],
    target: Annotated[
        list[str] | None, typer.Option("--target", help="host, arm64 or x86_64; repeatable. host if not given.")
    ] = None,
    cpu: Annotated[
        str | None,
        typer.Option("--cpu", help="The oldest ARM CPU to run on, such as cortex-a72; any if not given."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The bundle; RUN-bundle if not given.")] = None,
    json: Json = False,
) -> None:
    """Export a trained model as a bundle: one ONNX file, golden vectors, and for each target the native engine.

    The bundle is checked against the reference interpreter before the command says done.

    Example: bnnt export runs/digits --target host --target arm64 --out bundle
    """
    from bnn_toolchain.workflow import export_run, target_from

    targets = [target_from(name, cpu) for name in target or ["host"]]
    folder = out if out is not None else run.with_name(run.name + "-bundle")
    bundle = export_run(run, folder, targets, note)
    if json:
        print_json(bundle.manifest.model_dump(mode="json"))
        return
    accuracy = bundle.manifest.accuracy
    print(
        f"{folder}: model.onnx {len(bundle.model):,} bytes, test accuracy {accuracy.value:.2%} "
        f"({accuracy.correct} of {accuracy.images} images of {accuracy.data_set})"
    )
    for built in bundle.manifest.targets:
        library = bundle.manifest.files[f"{built.folder}/libbnnt.so"].bytes
        print(f"  {built.folder}: libbnnt.so {library:,} bytes, bnnt.h, bnnt-run")
