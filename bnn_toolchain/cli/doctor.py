"""`bnnt doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from bnn_toolchain.cli.output import Json, print_json, print_table


def doctor(json: Json = False) -> None:
    """What of bnnt works on this machine, and what to install for the rest.

    Example: bnnt doctor
    """
    from bnn_toolchain.runtime.doctor import examine

    findings = examine()
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(
            "bnnt doctor",
            ("part", "works", "found", "remedy"),
            [(f.part, "yes" if f.works else "no", f.found, f.remedy) for f in findings],
            left=4,
        )
    if not all(finding.works for finding in findings):
        raise typer.Exit(3)
