"""A torch module as a program of ATen operators without side effects; what cannot be traced is refused by its line."""

from __future__ import annotations

import copy
import io
import logging
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.fx.traceback import annotate, preserve_node_meta
from torch.overrides import TorchFunctionMode

from bnn_toolchain import errors
from bnn_toolchain.errors import Unsupported
from bnn_toolchain.input_spec import InputSpec

BATCH = 2  # of the example; the program itself holds for any number of images

_LINE = "line"
_DROPOUTS = tuple(
    f"aten.{kind}dropout{end}.default" for kind in ("", "feature_", "alpha_", "feature_alpha_") for end in ("", "_")
)
_INNER = (
    *(Path(module).parent for module in (torch.__file__, errors.__file__, logging.__file__)),
    Path(__file__).parents[1],
)
"""Folders whose code is never the user's."""


def trace(module: nn.Module, spec: InputSpec) -> torch.export.ExportedProgram:
    """The program of ``module``, which is on the CPU, in float32 and evaluation mode, for any number of images.

    Every operator that changes a value in place, or through a view of it, has become one that yields a new value.

    Raises:
        Unsupported: the module fails, or does what no program without its Python code can do.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise Unsupported("a program of torch.jit cannot be captured: give the module that it was made of")
    example = torch.zeros(BATCH, spec.channels, spec.height, spec.width)
    images = ({0: torch.export.Dim("batch")},)
    try:
        with torch.no_grad(), _quiet(), preserve_node_meta(), _Lines():
            program = torch.export.export(copy.deepcopy(module), (example,), dynamic_shapes=images)
        with torch.no_grad(), _quiet():
            _keep_aliases(program)
            lowered: torch.export.ExportedProgram = program.run_decompositions({})
            return lowered
    except Unsupported:
        raise
    except Exception as error:  # user code runs here, and torch has no common base for what it raises
        raise _explained(module, example, error) from error


def user_line(frames: Iterable[traceback.FrameSummary]) -> str:
    """``file:line`` of the innermost frame that is neither torch's nor ours; empty if there is none."""
    own = [frame for frame in frames if not frame.filename.startswith("<") and not _is_inner(frame.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def line_of(node: torch.fx.Node) -> str:
    """``file:line`` of the user's code that called the operator ``node``; empty if none did, as in a Sequential."""
    return str((node.meta.get("custom") or {}).get(_LINE, ""))


def forward_line(module: nn.Module) -> str:
    """``file:line`` where the user's module defines its ``forward``; empty if torch or bnnt does."""
    code = getattr(type(module).forward, "__code__", None)
    return "" if code is None or _is_inner(code.co_filename) else f"{code.co_filename}:{code.co_firstlineno}"


def described(name: str, line: str) -> str:
    """A module's path and the user's line, as messages begin."""
    return f"{name or 'the model itself'} ({line})" if line else name or "the model itself"


def not_captured(line: str, reason: str) -> Unsupported:
    """The refusal of a model for one ``reason``, at the user's ``line``."""
    return refusal([f"{described('', line)}: {reason}"])


def refusal(places: list[str]) -> Unsupported:
    """The refusal of a model, with each place and its reason."""
    return Unsupported("this model cannot be captured:\n" + "\n".join(f"  - {place}" for place in places))


def error_line(error: Exception) -> str:
    """``file:line`` of the user's code that raised ``error``; empty if none did."""
    return user_line(traceback.extract_tb(error.__traceback__))


def lonely_line(module: nn.Module, shape: tuple[int, ...]) -> str:
    """``file:line`` where ``module`` treats a batch of one image of ``shape`` [C, H, W] apart, else ``forward``'s.

    Tracing takes every number of images for larger than 1 unless it is told not to.
    """
    with torch.fx.experimental._config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return _batch_guard(module, torch.zeros(BATCH, *shape)) or forward_line(module)


def _running_line() -> str:
    """``file:line`` of the innermost frame of the user's that is running now; no source file is opened for it."""
    for frame, line in traceback.walk_stack(None):
        file = frame.f_code.co_filename
        if not file.startswith("<") and not _is_inner(file):
            return f"{file}:{line}"
    return ""


@cache
def _is_inner(file: str) -> bool:
    path = Path(file)
    return not path.is_absolute() or any(path.is_relative_to(folder) for folder in _INNER)


class _Lines(TorchFunctionMode):
    """Notes the user's line with every operator: torch's own note has the line of ``forward``, not of what it calls.

    torch.export does not see ``x.data`` either, nor an assignment to it: the first is what detach yields. And it shows
    autocast by its casts alone, without their lines.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        line = _running_line()
        if func == torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        if func == torch.Tensor.data.__set__:  # type: ignore[attr-defined]
            raise not_captured(line, "an assignment to .data while the model runs: compute a new tensor and use that")
        if torch.is_autocast_enabled("cpu"):
            raise not_captured(
                line,
                "autocast, which casts what layers read: leave it out of forward, as engines compute in float32",
            )
        with annotate({_LINE: line}):
            return func(*args, **(kwargs or {}))


def _keep_aliases(program: torch.export.ExportedProgram) -> None:
    """A dropout in evaluation mode yields its argument itself, which the decompositions of torch forget.

    Raises:
        Unsupported: a dropout that is on in evaluation mode too.
    """
    for node in program.graph.nodes:
        if str(node.target) in _DROPOUTS:
            if node.args[2]:
                raise not_captured(
                    line_of(node),
                    "a dropout that is on in evaluation mode too: use nn.Dropout, or pass training=self.training",
                )
            node.target, node.args = torch.ops.aten.alias.default, node.args[:1]
    program.graph_module.recompile()


def _explained(module: nn.Module, example: torch.Tensor, error: Exception) -> Unsupported:
    line = error_line(error)
    try:
        with torch.no_grad():
            copy.deepcopy(module)(example)
    except Exception as own:
        line = error_line(own) or forward_line(module)
        return Unsupported(
            f"{described(type(module).__name__, line)} fails on images of {list(example.shape[1:])}: {_first_line(own)}"
        )
    is_region = "higher order operator" in str(error)  # torch.cond and its like
    if is_region or isinstance(error, GuardOnDataDependentSymNode):
        reason = "the code asks for the values of the image (a branch, an index or a number made from them)"
        remedy = "a model file has one path for all images: compute both sides, or choose before the model"
    elif guard := _batch_guard(module, example):
        line = guard
        reason = "the code takes another path, or fails, for other numbers of images in a batch"
        remedy = "let it treat any number of images alike; x.shape[0], not len(x), may be used, and for reshaping alone"
    else:
        reason = f"it cannot be traced: {_first_line(error)}"
        remedy = "use torch operators alone on values that depend on the image"
    return not_captured(line, f"{reason}: {remedy}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def _batch_guard(module: nn.Module, example: torch.Tensor) -> str:
    """The user's line that decided something by the number of images, if torch asked for one while tracing."""
    guards: list[str] = []

    def listen(record: logging.LogRecord) -> bool:
        if "guard added" in record.msg:
            guards.append(_running_line() or forward_line(module))
        return False

    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = log.level
    log.addFilter(listen)
    log.setLevel(logging.INFO)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            batch = ({0: torch.export.Dim("batch")},)
            torch.export.export(copy.deepcopy(module), (example,), dynamic_shapes=batch)
    except Exception:  # the one that is being explained
        return guards[0] if guards else ""
    finally:
        log.setLevel(level)
        log.removeFilter(listen)
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """torch reports on its tracing at length; what a user needs of that is in our message."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
