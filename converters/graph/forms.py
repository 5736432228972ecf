"""Operators that a file holds as their name, their inputs and their arrays: one table for both file formats.

Operators with attributes, weights or bits have code of their own where each format is written and read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bnn_toolchain.converters.graph.ops import Add, GlobalAveragePool, Op, PRelu, Relu, Sign, ToReal

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # of typing from Python 3.13 on

SimpleOp: TypeAlias = Sign | ToReal | Relu | PRelu | Add | GlobalAveragePool


@dataclass(frozen=True)
class Form:
    """The ONNX operator is called as ``op``: in ONNX's own domain if it is ``standard``, else in bnnt's."""

    op: type[Any]  # an operator of the graph
    standard: bool
    inputs: int = 1
    arrays: tuple[str, ...] = ()  # fields of the operator: float32 (C,)
    tflite: str = ""  # TensorFlow Lite's builtin operator for it; empty where it is written otherwise


FORMS = (
    Form(Sign, standard=False),
    Form(ToReal, standard=False),
    Form(Relu, standard=True, tflite="RELU"),
    Form(PRelu, standard=True, arrays=("slope",), tflite="PRELU"),
    Form(Add, standard=True, inputs=2, tflite="ADD"),
    Form(GlobalAveragePool, standard=True),
)


def is_simple(op: Op) -> TypeIs[SimpleOp]:
    """Whether the table has ``op``."""
    return isinstance(op, SimpleOp)


def form_of(op: SimpleOp) -> Form:
    """The form of ``op``."""
    return next(form for form in FORMS if type(op) is form.op)


def form_called(name: str) -> Form | None:
    """The form of the operator called ``name``, if it is in the table."""
    return next((form for form in FORMS if form.op.__name__ == name), None)
