"""The `bnnt` command. One file a command: it parses, then calls a plain function that a notebook can call too."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import NoReturn

import typer

from bnn_toolchain.cli.bench import bench
from bnn_toolchain.cli.demo import demo
from bnn_toolchain.cli.device import app as device
from bnn_toolchain.cli.doctor import doctor
from bnn_toolchain.cli.export import export
from bnn_toolchain.cli.inspect import inspect
from bnn_toolchain.cli.plot import plot
from bnn_toolchain.cli.predict import predict
from bnn_toolchain.cli.recipes import recipes
from bnn_toolchain.cli.report import report
from bnn_toolchain.cli.setup import setup
from bnn_toolchain.cli.study import study
from bnn_toolchain.cli.train import train
from bnn_toolchain.cli.validate import validate
from bnn_toolchain.errors import BnntError
from bnn_toolchain.packages import named_packages

app = typer.Typer(
    name="bnnt",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a binary neural network, ship it to an ARM or x86 CPU, and know that it is right and how fast it is.",
    epilog=(
        "Exit codes: 0 fine, 1 a check failed or memory or the disk is full, 2 wrong usage or a bad file, "
        "3 a device, engine or package is unavailable. "
        "--debug, anywhere on the line, shows the traceback of an error."
    ),
)
for command in (demo, recipes, train, plot, study, inspect, export, validate, bench, predict, report, doctor, setup):
    app.command()(command)
app.add_typer(device)


def main() -> NoReturn:
    """Run the command line; every error that bnnt knows ends as one message and its exit code."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        with named_packages():
            app([argument for argument in arguments if argument != "--debug"])
    except BnntError as error:
        _fail(str(error), error.exit_code, debug)
    except OSError as error:
        if error.strerror is None:
            raise
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        if error.errno == errno.ENOSPC:
            _fail(f"{place}the disk is full: free some space and run again", 1, debug)
        _fail(f"{place}{error.strerror}", 2, debug)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        first = str(error).partition("\n")[0]
        _fail(f"out of memory: take a smaller network or batch, or a larger machine ({first})", 1, debug)
    except KeyboardInterrupt:
        _fail("interrupted", 130, debug)
    sys.exit(0)


def _is_out_of_memory(error: Exception) -> bool:
    """torch says so in a RuntimeError, of which only the one for other devices has a type of its own."""
    words = ("can't allocate memory", "OutOfMemoryError", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in f"{type(error).__name__}: {error}" for word in words)


def _fail(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
