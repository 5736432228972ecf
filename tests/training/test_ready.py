"""fit says what it needs before it writes anything."""

import pytest
import torch
from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.training.fit import fit

from .small import splits
from .test_fit import network, settings


def refused(tmp_path, message, model=None, data=None):
    with pytest.raises(UsageError, match=message):
        fit(model or network(), splits() if data is None else data, settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Yielding(nn.Module):
    """What it yields, as a function of itself and the logits."""

    def __init__(self, output):
        super().__init__()
        self.body, self.output = network(), output

    def forward(self, x):
        return self.output(self, self.body(x))


NO_LOGITS = {
    "a tuple": (
        lambda m, y: (y, y[:, :1]),
        r"in evaluation mode the model yields a tuple of 2 \(float32 \[2, 4\], float32 \[2, 1\]\) for 2 images of 4 "
        r"classes: make forward return one tensor of logits, float32 \[2, 4\], and nothing else",
    ),
    "a tuple while it trains": (
        lambda m, y: (y, y) if m.training else y,
        r"in training mode the model yields a tuple of 2",
    ),
    "a list of one": (lambda m, y: [y], r"yields a list of 1 \(float32 \[2, 4\]\)"),
    "a dictionary": (lambda m, y: {"logits": y, "loss": 0}, "yields a dict with the keys 'logits', 'loss'"),
    "nothing": (lambda m, y: None, "yields NoneType"),
    "a map": (lambda m, y: y[..., None, None], r"yields float32 \[2, 4, 1, 1\] for 2 images of 4 classes"),
    "too few": (lambda m, y: y[:, :3], r"yields float32 \[2, 3\] for 2 images of 4 classes"),
    "classes": (lambda m, y: y.argmax(1), r"yields int64 \[2\]"),
    "integers": (lambda m, y: y.int(), r"yields int32 \[2, 4\]"),
    "no gradient": (lambda m, y: y.detach(), "logits depend on no parameter that can be trained: leave out no_grad"),
}


@pytest.mark.parametrize(("output", "message"), NO_LOGITS.values(), ids=NO_LOGITS)
def test_what_the_model_yields(tmp_path, output, message):
    refused(tmp_path, message, Yielding(output))


def test_a_model_of_other_classes(tmp_path):
    refused(tmp_path, r"yields float32 \[2, 7\] for 2 images of 4", nn.Sequential(nn.Flatten(), nn.Linear(64, 7)))


def test_a_model_that_fails(tmp_path):
    message = r"Sequential fails in evaluation mode on float32 images \[2, 1, 8, 8\]: RuntimeError: mat1 and mat2"
    refused(tmp_path, message, nn.Sequential(nn.Flatten(), nn.Linear(63, 4)))


def test_a_model_that_cannot_be_copied(tmp_path):
    model = network()
    model.cache = model[1].weight * 2  # neither a parameter nor a buffer, but with a history
    refused(tmp_path, "Sequential cannot be copied, and fit and export need that: RuntimeError: Only Tensors", model)


def test_the_trial_leaves_the_model_as_it_was(tmp_path):
    data = splits()
    model = network().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UsageError, match="is not empty"):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "file").touch()
        fit(model, data, settings(), tmp_path / "run")
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_other_images_than_splits(tmp_path):
    loader = torch.utils.data.DataLoader([(torch.zeros(1, 8, 8), 0)])
    refused(tmp_path, r"fit takes its images as Splits, not DataLoader: .*load_splits", data=loader)
