"""A small network with a place for the spelling that a test is about, and what must be true of every spelling."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_toolchain.converters import convert, onnx
from bnn_toolchain.errors import BnntError, Unsupported
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, Sign
from bnn_toolchain.runtime.engines.engine import open_session

SPEC = InputSpec(8, 6, 3, (1 / 128,) * 3, (128.0,) * 3, ("a", "b", "c", "d", "e"))
TOLERANCE = 1e-4  # of the largest logit: one wrong bit in front of the second layer moves logits by 100 times that

Spelling = Callable[["Network", Tensor], Tensor]


def same(_network: Network, x: Tensor) -> Tensor:
    return x


def pooled(network: Network, x: Tensor) -> Tensor:
    """The head: [N, 8, H, W] to [N, 5]."""
    return network.classify(x.mean((2, 3)))


class Network(nn.Module):
    """Convolution, norm, ``middle``, sign, convolution, norm, ``head``; ``front`` sees the images before all that.

    The values that ``middle`` gets are real, [N, 8, 8, 6], about as large as 1, of both signs. ``parts`` are more
    modules and tensors, or others under the names that are used here; a spelling reaches them as attributes.
    """

    def __init__(
        self, middle: Spelling = same, head: Spelling = pooled, front: Spelling = same, **parts: nn.Module | Tensor
    ) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = BinaryConv2d(3, 8, 3, padding=1, pad_value=0)
            self.first_norm = trained(nn.BatchNorm2d(8), 9)
            self.sign = Sign()
            self.second = BinaryConv2d(8, 8, 3, padding=1)
            self.second_norm = trained(nn.BatchNorm2d(8), 72)
            self.classify = nn.Linear(8, 5)
        for name, part in parts.items():
            if isinstance(part, Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.middle, self.head, self.front = middle, head, front
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_norm(self.first(self.front(self, x)))
        x = self.second(self.sign(self.middle(self, x)))
        return self.head(self, self.second_norm(x))


def trained(norm: nn.Module, variance: float) -> nn.Module:
    """``norm`` as after training: its inputs have about that variance; its scales have both signs."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.running_mean.copy_(torch.randn(norm.num_features, generator=generator))
        norm.running_var.copy_(variance * (0.5 + torch.rand(norm.num_features, generator=generator)))
        norm.weight.copy_(torch.randn(norm.num_features, generator=generator))
        norm.bias.copy_(torch.randn(norm.num_features, generator=generator) / 4)
    return norm.eval()


def probes(spec: InputSpec = SPEC) -> np.ndarray:
    """uint8 [7, H, W, C]: noise twice, all 0, all 255, a checkerboard, and gradients in both directions."""
    row, column = np.indices((spec.height, spec.width))
    noise = np.random.default_rng(0).integers(0, 256, (2, *spec.shape))
    planes = (
        np.zeros_like(row),
        np.full_like(row, 255),
        (row + column) % 2 * 255,
        row * 255 // (spec.height - 1),
        column * 255 // (spec.width - 1),
    )
    wide = np.broadcast_to(np.stack(planes)[..., None], (len(planes), *spec.shape))
    return np.concatenate([noise, wide]).astype(np.uint8)


def answers(module: nn.Module, images: np.ndarray, spec: InputSpec = SPEC) -> np.ndarray:
    """What the module itself yields, eagerly: the logits [N, F] that are the one tensor in it."""
    x = (torch.from_numpy(images).float() - torch.tensor(spec.offset)) * torch.tensor(spec.scale)
    with torch.no_grad():
        leaves = torch.utils._pytree.tree_leaves(copy.deepcopy(module).eval()(x.permute(0, 3, 1, 2).contiguous()))
    (found,) = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    return found.reshape(len(images), -1).numpy()


def assert_equal(module: nn.Module, spec: InputSpec = SPEC, changes: bool = True) -> None:
    """Every engine answers as the module, in a batch and alone, with equal bits; the module stays as it was.

    With ``changes`` the spelling must make a difference, or the test could not tell whether it was left out.
    """
    images, before, mode = probes(spec), copy.deepcopy(module.state_dict()), module.training
    if changes:
        assert np.abs(answers(module, images) - answers(Network(), images)).max() > 100 * TOLERANCE
    graph = convert(module, spec)
    assert module.training is mode
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    data = onnx.to_bytes(graph)
    sessions = {name: open_session(name, data) for name in ("reference", "onnxruntime", "native")}
    for batch in (images, images[:1]):
        wanted = answers(module, batch, spec)
        bits = sessions["reference"].run_hidden(batch)[1]
        for name, session in sessions.items():
            found, hidden = session.run_hidden(batch)
            assert found.shape == wanted.shape, name
            assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max(), name
            assert hidden.keys() == bits.keys(), name
            assert all(np.array_equal(hidden[key], bits[key]) for key in bits), name


INNER = re.compile(
    r"aten\.|_dynamo|\bfx\b|Sym(Int|Bool|Node)|\b[su]\d+\b|Traceback|KeyError|IndexError|higher.?order|0x"
)
"""Words that mean nothing to somebody who has never read torch's own code."""


def assert_refused(module: nn.Module, line: str, *fragments: str, error: type[BnntError] = Unsupported) -> None:
    """convert() refuses; the message holds the user's ``line`` (file:number), all ``fragments``, and remedies."""
    with pytest.raises(error) as caught:
        convert(module, SPEC)
    message = str(caught.value)
    assert re.search(rf"{re.escape(line)}\b", message), message
    assert not INNER.search(message), message
    assert all(refused.count(": ") >= 2 for refused in message.splitlines() if refused.startswith("  - ")), message
    for fragment in fragments:
        assert fragment in message, message


def line_of(spelling: Callable) -> str:
    """``file:number`` of the line that ends with "# here", else of the first: lambdas here have one line."""
    lines, start = inspect.getsourcelines(spelling)
    marked = [number for number, line in enumerate(lines) if line.rstrip().endswith("# here")]
    if spelling.__name__ != "<lambda>":
        (number,) = marked
        return f"{inspect.getsourcefile(spelling)}:{start + number}"
    return f"{inspect.getsourcefile(spelling)}:{spelling.__code__.co_firstlineno}"
