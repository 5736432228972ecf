"""The reference interpreter: what a graph means."""

from bnn_toolchain.converters.reference.interpreter import follow, run, run_hidden, run_op

__all__ = ["follow", "run", "run_hidden", "run_op"]
