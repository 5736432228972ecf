import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bnn_toolchain.converters import convert
from bnn_toolchain.converters.reference import run_hidden
from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryConv2d, BinaryLinear, Sign, latent_weights
from bnn_toolchain.models import MlpConfig, VggConfig, build_network, float_config
from tests.networks import ORDERS, hidden_bits

GREY = InputSpec(12, 10, 1, (1 / 128,), (128.0,), tuple("0123456789"))
COLOUR = InputSpec(32, 32, 3, (1 / 128,) * 3, (128.0,) * 3, tuple("0123456789"))
SMALL = VggConfig(stages=((8, 9), (16,)), dense=(24,))


def trained_norms(model):
    """Statistics of a batch, as after training: without them a fresh network is nearly constant."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean, std=3)
    return model.eval()


def sizes(model):
    return [tuple(module.weight.shape) for module in model.modules() if isinstance(module, BinaryConv2d | BinaryLinear)]


def test_the_mlp_of_the_papers():
    spec = InputSpec(28, 28, 1, (1 / 128,), (128.0,), tuple("0123456789"))
    assert sizes(build_network(MlpConfig(), spec)) == [(2048, 784), (2048, 2048), (2048, 2048), (10, 2048)]


def test_the_vgg_of_the_papers():
    model = build_network(VggConfig(), COLOUR)
    assert sizes(model) == [
        *((128, 3, 3, 3), (128, 128, 3, 3), (256, 128, 3, 3), (256, 256, 3, 3), (512, 256, 3, 3), (512, 512, 3, 3)),
        *((1024, 8192), (1024, 1024), (10, 1024)),
    ]
    names = [type(layer).__name__ for layer in model]
    assert names[:7] == ["BinaryConv2d", "BatchNorm2d", "Sign", "BinaryConv2d", "MaxPool2d", "BatchNorm2d", "Sign"]


def test_the_width_factor_multiplies_every_hidden_layer():
    assert sizes(build_network(VggConfig(width=0.25), COLOUR))[-3:] == [(256, 2048), (256, 256), (10, 256)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("activation", ["sign", "relu"])
def test_every_order_and_activation_exports_with_the_same_bits(order, activation):
    torch.manual_seed(0)
    model = trained_norms(build_network(SMALL.model_copy(update={"order": order, "activation": activation}), GREY))
    images = np.random.default_rng(0).integers(0, 256, (5, *GREY.shape), dtype=np.uint8)
    logits, bits = hidden_bits(model, images, GREY)
    found, hidden = run_hidden(convert(model, GREY), images)
    assert len(bits) == (4 if activation == "sign" else 0)
    for name, expected in bits.items():
        np.testing.assert_array_equal(hidden[name], expected, name)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)  # real sums in another order


def test_padding_is_zero_for_pixels_and_reals():
    def values(activation):
        model = build_network(VggConfig(activation=activation), COLOUR)
        return [module.pad_value for module in model.modules() if isinstance(module, BinaryConv2d)]

    assert values("sign") == [0, 1, 1, 1, 1, 1]
    assert values("relu") == [0] * 6


@pytest.mark.parametrize("config", [SMALL, MlpConfig(hidden=16)])
def test_the_float_twin_has_the_same_shapes_and_nothing_binary(config):
    model, twin = build_network(config, GREY), build_network(float_config(config), GREY)
    assert {n: p.shape for n, p in model.state_dict().items()} == {n: p.shape for n, p in twin.state_dict().items()}
    assert latent_weights(model) and not latent_weights(twin)
    assert not any(isinstance(module, Sign) for module in twin.modules())


def test_refusals():
    with pytest.raises(UsageError, match="12x10 is too small"):
        build_network(VggConfig(stages=((8,),) * 4), GREY)
    with pytest.raises(ValidationError, match="stages"):
        VggConfig(stages=())
    with pytest.raises(ValidationError, match="hiden"):
        MlpConfig(hiden=3)
