"""`bnnt device`: the machines that models go to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from bnn_toolchain.cli.output import Json, note, print_json, print_table

app = typer.Typer(
    name="device",
    no_args_is_help=True,
    help="Devices that ssh or adb reaches: which there are, what works on one, and how to leave nothing there. "
    "Example: bnnt device check ssh://pi@raspberrypi.local",
)
Name = Annotated[str, typer.Argument(help="ssh://USER@HOST:PORT, a host, adb:SERIAL, or a name of the devices file.")]


@app.command()
def check(name: Name, json: Json = False) -> None:
    """What a device is, what works on it, and what to do about the rest. It sends and runs a small program there.

    Example: bnnt device check ssh://pi@raspberrypi.local
    """
    from bnn_toolchain.runtime.devices.check import check_device

    findings = check_device(name, note)
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        words = {True: "yes", False: "no", None: ""}
        rows = [(f.part, words[f.works], f.found, f.remedy) for f in findings]
        print_table(f"bnnt device check {name}", ("part", "works", "found", "remedy"), rows, left=4)
    if any(finding.works is False for finding in findings):
        raise typer.Exit(3)


@app.command()
def clean(name: Name) -> None:
    """Remove bnnt's own folder from a device, and nothing else.

    Example: bnnt device clean pi
    """
    from bnn_toolchain.runtime.devices.reach import reach
    from bnn_toolchain.runtime.devices.remote import clean as remove

    with reach(name) as reached:
        removed = remove(reached.shell, reached.folder)
    print(f"{name}: {reached.folder} is removed" if removed else f"{name}: there was no {reached.folder}")


@app.command("list")
def list_devices(json: Json = False) -> None:
    """The devices that your devices file names.

    Example: bnnt device list
    """
    from bnn_toolchain.runtime.devices.named import devices_file, named_devices

    devices = named_devices()
    if json:
        print_json({name: device.model_dump() for name, device in devices.items()})
        return
    rows = [(name, d.address, d.folder or "", d.runner or "") for name, d in devices.items()]
    print_table(str(devices_file()), ("name", "address", "folder", "runner"), rows, left=4)
    if not devices:
        print(f'none yet: write, for example, [pi] and address = "ssh://pi@raspberrypi.local" to {devices_file()}')
