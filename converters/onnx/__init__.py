"""The graph as a canonical ONNX file, in both directions; ``OPERATORS.md`` has the form."""

from bnn_toolchain.converters.onnx.read import from_bytes, load
from bnn_toolchain.converters.onnx.write import IR_VERSION, save, to_bytes

__all__ = ["IR_VERSION", "from_bytes", "load", "save", "to_bytes"]
