"""From a PyTorch module to the integer graph that files hold and engines run.

torch is imported only when something is captured or lowered, so files and the reference interpreter need numpy and
onnx alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bnn_toolchain.errors import Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from bnn_toolchain.converters.graph.graph import Graph
    from bnn_toolchain.input_spec import InputSpec


def convert(
    module: nn.Module,
    spec: InputSpec,
    *,
    images: NDArray[np.uint8] | None = None,
    announce: Callable[[str], None] = lambda message: None,
) -> Graph:
    """Capture ``module``, lower it and check it: the graph that :func:`bnn_toolchain.converters.onnx.save` takes.

    ``module`` maps normalised float32 images [N, C, H, W] to logits [N, F]; it is neither changed nor moved. It then
    runs on probe images and the first of ``images`` (uint8 [N, H, W, C]) beside the graph; ``announce`` is told how
    they compare, see :mod:`bnn_toolchain.converters.faithful`.

    Raises:
        Unsupported: operators that have no place in the graph, all of them in one message; or a module that does not
            yield one logit for each class of ``spec``.
        CheckFailed: a batch norm that torch does not evaluate monotonically, or a graph that answers otherwise than the
            module.
    """
    from bnn_toolchain.converters.capture.capture import capture
    from bnn_toolchain.converters.faithful import check
    from bnn_toolchain.converters.graph.classifier import check_classifier

    captured = capture(module, spec)
    check_classifier(captured.graph)
    graph = lower(captured.graph)
    announce(str(check(captured, graph, images)))
    return graph


def lower(graph: Graph) -> Graph:
    """The integer graph of a captured one; see :mod:`bnn_toolchain.converters.passes`."""
    from bnn_toolchain.converters import passes

    return passes.lower(graph)


def require_lce() -> None:
    """Call this before importing :mod:`bnn_toolchain.converters.lce`, whose packages are an extra.

    Raises:
        Unavailable: they are not installed.
    """
    if find_spec("tflite") is None or find_spec("flatbuffers") is None:
        raise Unavailable("the packages for .tflite files are not installed: pip install 'bnnt[lce]'")
