"""`bnnt inspect`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnn_toolchain.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from bnn_toolchain.converters.cost import Cost


def inspect(
    model: Annotated[Path, typer.Argument(help="A run folder, a bundle or a model file.")], json: Json = False
) -> None:
    """What a model costs, layer by layer, and which layers are left in float, each with its reason.

    Binary MACs multiply a bit by a bit; the others have an operand that is not one. Bytes count binary weights at one
    bit each.

    Example: bnnt inspect runs/digits
    """
    from bnn_toolchain.api import inspect_model

    cost = inspect_model(model)
    if json:
        print_json(
            {
                "layers": [asdict(row) for row in cost.rows],
                "parameters": cost.parameters,
                "binary_macs": cost.binary_macs,
                "other_macs": cost.other_macs,
                "parameter_bytes": cost.parameter_bytes,
                "container_bytes": cost.container_bytes,
                "file_bytes": cost.file_bytes,
                "alive_bytes": cost.alive_bytes,
            }
        )
    else:
        _print(str(model), cost)


def _print(title: str, cost: Cost) -> None:
    columns = ("layer", "operator", "output", "weight bits", "activation bits", "parameters")
    rows: list[tuple[object, ...]] = [
        (
            row.name,
            row.op,
            "x".join(map(str, row.shape)) + f" {row.output_kind}",
            row.weight_bits or "",
            row.activation_bits,
            f"{row.parameters:,}",
            f"{row.binary_macs:,}",
            f"{row.other_macs:,}",
            f"{row.bytes:,}",
        )
        for row in cost.rows
    ]
    totals = (cost.parameters, cost.binary_macs, cost.other_macs, cost.parameter_bytes)
    rows.append(("total", "", "", "", "", *(f"{total:,}" for total in totals)))
    print_table(title, (*columns, "binary MACs", "other MACs", "bytes"), rows, left=3)
    print(
        f"The file has {cost.file_bytes:,} bytes: {cost.parameter_bytes:,} of parameters and "
        f"{cost.container_bytes:,} of operators, names and metadata."
    )
    print(f"Activations of one image take at most {cost.alive_bytes:,} bytes at once.")
    if not any(row.weight_bits == 1 for row in cost.rows):
        print("Nothing in this model is binary.")
    if not cost.float_layers:
        print("No layer is left in float.")
    for row in cost.float_layers:
        print(f"left in float: {row.name} ({row.op}): {row.float_reason}")
    for row in cost.rows:
        if row.missed and not row.float_reason:
            print(f"could be cheaper: {row.name} ({row.op}): {row.missed}")
