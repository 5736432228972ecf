"""The devices file: names of the user's own for devices, and how each is reached.

TOML, a table for each device::

    [pi]
    address = "ssh://pi@192.168.1.7"

    [board]
    address = "build-host"  # of the ssh configuration
    folder = "/srv/bnnt"
    runner = "qemu-aarch64-static -cpu cortex-a72"
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Literal

import pydantic

from bnn_toolchain.errors import FileFormatError, Unavailable
from bnn_toolchain.files import SMALL_FILE, Strict, read_bounded

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class NamedDevice(Strict):
    """One entry."""

    address: str  # ssh://USER@HOST:PORT, a host of the ssh configuration, or adb:SERIAL
    folder: str | None = None  # there; bnnt makes it, its parent must exist
    runner: str | None = None  # words in front of a program, such as qemu-aarch64-static: then its time means nothing
    python: str = "python3"  # words that start Python there, for onnxruntime alone
    arch: Literal["x86_64", "arm64"] | None = None  # of the programs that the runner runs, where its name does not tell

    @pydantic.field_validator("address", "folder", "runner", "python")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or not value.isprintable()):
            raise ValueError("it must be one line of printable text")
        return value


def devices_file() -> Path:
    """The environment variable BNNT_DEVICES, or devices.toml in the user's configuration folder for bnnt."""
    chosen = os.environ.get("BNNT_DEVICES")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "bnnt" / "devices.toml"


def named_devices() -> dict[str, NamedDevice]:
    """All that the devices file names; none if there is no such file.

    Raises:
        FileFormatError: it is no devices file; the message names the first wrong line or entry.
        Unavailable: it cannot be read.
    """
    path = devices_file()
    try:
        text = read_bounded(path, SMALL_FILE)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileFormatError(f"{path} is no devices file: {error}") from error
    try:
        content = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
        raise FileFormatError(f"{path} is no TOML: {error}") from error
    devices = {}
    for name, entry in content.items():
        if not NAME.fullmatch(name) or name in ("local", "adb", "qemu"):
            raise FileFormatError(f"{path}: '{name}' cannot be a device's name: letters, digits, '_', '.' and '-'")
        try:
            devices[name] = NamedDevice.model_validate(entry)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in (name, *first["loc"]))
            raise FileFormatError(f"{path}: {place}: {first['msg']}") from error
    return devices
