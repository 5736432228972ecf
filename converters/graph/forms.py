"""Operators that a file holds as their name, their inputs and their arrays: one table for both file formats.

Operators with attributes, weights or bits have code of their own where each format is written and read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bnn_toolchain.converters.graph.ops import Add, GlobalAveragePool, Op, PRelu, Relu, Sign, ToReal


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


def form_of(op: Op) -> Form | None:
    """The form of ``op``, if it is in the table."""
    return next((form for form in FORMS if type(op) is form.op), None)


def form_called(name: str) -> Form | None:
    """The form of the operator called ``name``, if it is in the table."""
    return next((form for form in FORMS if form.op.__name__ == name), None)
