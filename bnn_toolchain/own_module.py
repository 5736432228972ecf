"""A module of the user's own, from the Python file that the user names: `bnnt validate --module FILE:NAME`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec


def load_module(text: str, spec: InputSpec) -> nn.Module:
    """The module that ``text``, FILE:NAME, stands for; the file runs.

    NAME is an nn.Module, or a function or class that makes one: without arguments, or with ``spec`` if it needs one.

    Raises:
        UsageError: no such file or name, it fails, or it yields something else.
    """
    file, _, name = text.rpartition(":")
    if not file or not name:
        raise UsageError(f"--module {text}: give FILE:NAME, such as network.py:MyNetwork")
    try:
        named = getattr(_run(Path(file)), name)
        module = named if isinstance(named, nn.Module) or not callable(named) else _make(named, spec)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # user code runs here
        raise UsageError(f"--module {text}: {type(error).__name__}: {error} (--debug shows where)") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"--module {text} is {type(module).__name__}: name an nn.Module, or what makes one")
    return module


def _run(file: Path) -> ModuleType:
    if not file.is_file():
        raise UsageError(f"--module: there is no file {file}")
    name = f"own_module_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"--module: {file} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for it
    sys.path.insert(0, str(file.parent.resolve()))  # its own imports, as `python FILE` finds them
    spec.loader.exec_module(module)
    return module


def _make(maker: Callable[..., Any], spec: InputSpec) -> object:
    if _takes(maker):
        return maker()
    if _takes(maker, spec):
        return maker(spec)
    raise UsageError(
        f"--module: {maker.__name__}{signature(maker)} needs more: name a function that makes the network without "
        "arguments, or of the InputSpec alone"
    )


def _takes(function: Callable[..., Any], *arguments: object) -> bool:
    try:
        signature(function).bind(*arguments)
    except TypeError:
        return False
    return True
