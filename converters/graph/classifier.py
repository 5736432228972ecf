"""What bnnt exports is a classifier: one logit for each class that the input specification names."""

from __future__ import annotations

from bnn_toolchain.converters.graph.graph import Graph
from bnn_toolchain.errors import Unsupported

NAMED = 4  # class names in a message


def check_classifier(graph: Graph) -> None:
    """Refuse a graph whose output is not one number for each of at least two classes.

    Raises:
        Unsupported: the message has both numbers and what to change.
    """
    shape, classes = graph.values[graph.output].shape, graph.spec.classes
    named = f"{len(classes)} classes ({', '.join([*classes[:NAMED], '…'][: len(classes)])})"
    if len(shape) != 1:
        sides = "x".join(map(str, shape))
        raise Unsupported(
            f"'{graph.output}' yields {sides} numbers (channels, height, width) for each image, and the input names "
            f"{named}: bnnt exports classifiers; end with pooling or flatten and a layer of {len(classes)} outputs"
        )
    if len(classes) < 2:
        raise Unsupported(
            f"the input names {len(classes)} classes, and '{graph.output}' yields {shape[0]} numbers for each image: "
            "bnnt exports classifiers of two classes or more, no regression; name each class in the InputSpec"
        )
    if shape[0] != len(classes):
        raise Unsupported(
            f"'{graph.output}' yields {shape[0]} numbers for each image, and the input names {named}: "
            f"give the last layer {len(classes)} outputs, or the InputSpec {shape[0]} class names"
            if shape[0] > 1
            else f"'{graph.output}' yields one number for each image, and the input names {named}: "
            f"give the last layer {len(classes)} outputs, one for each class"
        )
