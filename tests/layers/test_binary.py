import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.graph.ops import unpack_bits
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import (
    BinaryConv2d,
    BinaryLinear,
    Gradient,
    Sign,
    clip_latents_after_step,
    flip_ratio,
    latent_weights,
    set_gradients,
    set_stochastic,
)
from tests.networks import hidden_bits


def signs(x):
    return torch.where(x >= 0, 1.0, -1.0)


def test_a_dense_layer_multiplies_by_signs():
    torch.manual_seed(0)
    layer, x = BinaryLinear(37, 5), signs(torch.randn(4, 37))
    assert torch.equal(layer(x), x @ signs(layer.weight).T)


@pytest.mark.parametrize("pad_value", [0, 1])
def test_a_convolution_pads_with_its_value(pad_value):
    torch.manual_seed(0)
    layer = BinaryConv2d(4, 6, 3, stride=2, padding=2, groups=2, pad_value=pad_value)
    x = signs(torch.randn(2, 4, 7, 6))
    framed = torch.full((2, 4, 11, 10), float(pad_value))
    framed[:, :, 2:9, 2:8] = x
    assert torch.equal(layer(x), functional.conv2d(framed, signs(layer.weight), stride=2, groups=2))


def test_padding_is_one_unless_asked():
    assert BinaryConv2d(1, 1, 3, padding=1).pad_value == 1


def test_weights_have_the_gradient_of_their_sign():
    layer = BinaryLinear(3, 1, gradient=Gradient.CLIPPED)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -1.0, 1.5]]))
    layer(torch.tensor([[2.0, 3.0, 4.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[2.0, 3.0, 0.0]]
    layer.weight.grad = None
    set_gradients(layer, weights=Gradient.PLAIN)
    layer(torch.tensor([[2.0, 3.0, 4.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[2.0, 3.0, 4.0]]


def test_the_switches_are_separate():
    model = nn.Sequential(BinaryLinear(3, 3), Sign(), BinaryLinear(3, 2))
    set_gradients(model, activations=Gradient.PLAIN)
    assert [module.gradient for module in model] == [Gradient.CLIPPED, Gradient.PLAIN, Gradient.CLIPPED]
    set_gradients(model, weights=Gradient.PLAIN, activations=Gradient.CLIPPED)
    assert [module.gradient for module in model] == [Gradient.PLAIN, Gradient.CLIPPED, Gradient.PLAIN]


def test_latent_weights_are_those_of_binary_layers():
    model = nn.Sequential(nn.Sequential(BinaryConv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.Linear(2, 2), BinaryLinear(2, 2))
    assert list(latent_weights(model)) == ["0.0.weight", "2.weight"]


def test_the_latent_clip_follows_its_group_and_survives_copies():
    model = copy.deepcopy(nn.Sequential(BinaryLinear(4, 4), nn.Linear(4, 4)))
    groups = [
        {"params": [model[0].weight], "latent_clip": True},
        {"params": list(model[1].parameters())},
    ]
    optimizer = torch.optim.SGD(groups, lr=100.0)
    clip_latents_after_step(optimizer)

    def step():
        optimizer.zero_grad()
        (model[0].weight.sum() + model[1].weight.sum()).backward()
        optimizer.step()

    set_gradients(model, weights=Gradient.PLAIN)
    step()
    assert torch.equal(model[0].weight, torch.full((4, 4), -1.0))
    assert (model[1].weight < -90).all()
    optimizer.param_groups[0]["latent_clip"] = False
    step()
    assert torch.equal(model[0].weight, torch.full((4, 4), -101.0))
    assert optimizer.state_dict()["param_groups"][0]["latent_clip"] is False


def test_flip_ratio_counts_signs():
    before = torch.tensor([1.0, -1.0, 0.0, -0.5])
    after = torch.tensor([-1.0, -2.0, -0.0, 0.0])
    assert flip_ratio(before, after) == 0.5
    assert flip_ratio(before, before) == 0


@pytest.mark.parametrize("pad_value", [0, 1])
def test_capture_sees_binary_layers(pad_value):
    torch.manual_seed(0)
    conv = BinaryConv2d(9, 5, 3, padding=1, pad_value=pad_value)
    model = nn.Sequential(Sign(), nn.Conv2d(3, 9, 1), Sign(), conv, nn.Flatten(), BinaryLinear(80, 2))
    spec = InputSpec(4, 4, 3, (1 / 128,) * 3, (128.0,) * 3, ("a", "b"))
    graph = convert(model, spec)
    (op,) = [node.op for node in graph.nodes if type(node.op).__name__ == "BinaryConv2d"]
    assert op.pad_value == pad_value
    packed = torch.from_numpy(unpack_bits(op.weight, 9).astype("float32").transpose(0, 3, 1, 2))
    assert torch.equal(packed, signs(conv.weight))
    assert [type(node.op).__name__ for node in graph.nodes].count("BinaryDense") == 1


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_a_scaled_layer_multiplies_by_the_mean_of_its_latents(kind):
    torch.manual_seed(0)
    layer = BinaryLinear(20, 3, scaled=True) if kind == "dense" else BinaryConv2d(5, 3, 2, scaled=True)
    plain = BinaryLinear(20, 3) if kind == "dense" else BinaryConv2d(5, 3, 2)
    plain.load_state_dict(layer.state_dict())
    x = signs(torch.randn(4, 20) if kind == "dense" else torch.randn(4, 5, 6, 6))
    for channel in range(3):
        mean = layer.weight[channel].abs().mean()
        assert torch.allclose(layer(x)[:, channel], plain(x)[:, channel] * mean, rtol=1e-6)


def test_scaled_layers_export_with_the_same_bits():
    torch.manual_seed(0)
    layers = (
        *(BinaryConv2d(3, 9, 3, padding=1, pad_value=0, scaled=True), nn.MaxPool2d(2), nn.BatchNorm2d(9), Sign()),
        *(
            nn.Flatten(),
            BinaryLinear(9 * 9, 17, scaled=True),
            nn.BatchNorm1d(17),
            Sign(),
            BinaryLinear(17, 4, scaled=True),
        ),
    )
    model = nn.Sequential(*layers).train()
    spec = InputSpec(6, 6, 3, (1 / 128,) * 3, (128.0,) * 3, ("a", "b", "c", "d"))
    images = np.random.default_rng(0).integers(0, 256, (40, *spec.shape), dtype=np.uint8)
    model((torch.from_numpy(images).float().permute(0, 3, 1, 2) - 128) / 128)  # statistics of a batch
    logits, bits = hidden_bits(model.eval(), images, spec)
    found, hidden = run_hidden(convert(model, spec), images)
    for name, expected in bits.items():
        np.testing.assert_array_equal(hidden[name], expected, name)
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)


def test_stochastic_weights_are_drawn_in_training_alone():
    torch.manual_seed(0)
    model = nn.Sequential(BinaryLinear(500, 1))
    x = torch.eye(500)
    set_stochastic(model, True)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x)[:, 0], signs(model[0].weight[0]))
    set_stochastic(model.train(), False)
    assert torch.equal(model(x)[:, 0], signs(model[0].weight[0]))


def test_refusals():
    with pytest.raises(UsageError, match="pad_value 2"):
        BinaryConv2d(1, 1, 3, padding=1, pad_value=2)
    with pytest.raises(UsageError, match="groups=2"):
        BinaryConv2d(3, 4, 3, groups=2)
