import copy

import pytest
import torch
from torch import nn

from bnn_toolchain.layers import BinaryLinear, Gradient, Sign, set_gradients
from bnn_toolchain.training.config import Training
from bnn_toolchain.training.recipe import validate
from bnn_toolchain.training.stages import start_stage


def stage(**fields):
    return validate({"epochs": 1, "optimizer": {"lr": 0.3}, **fields}, Training, "test").stages[0]


def network():
    torch.manual_seed(0)
    model = nn.Sequential(BinaryLinear(6, 5), nn.BatchNorm1d(5), Sign(), BinaryLinear(5, 2))
    with torch.no_grad():
        model[0].weight.mul_(3)
    return model


def test_clipped_gradients_of_clipped_latents_are_plain_ones():
    """Leaving the mask out changes no bit of a training, at a rate that drives latents into their bounds."""
    model = network()
    twin = copy.deepcopy(model)
    config = stage()
    found, expected = start_stage(model, config), start_stage(twin, config)
    assert model[0].gradient is Gradient.PLAIN
    set_gradients(twin, weights=Gradient.CLIPPED)
    x = torch.randn(20, 8, 6)
    for batch in x:
        for each, ((optimizer, _),) in ((model, found), (twin, expected)):
            optimizer.zero_grad()
            each(batch).square().sum().backward()
            optimizer.step()
    assert (model[0].weight.abs() == 1).any() and not torch.equal(model[0].weight, network()[0].weight)
    assert all(map(torch.equal, model.state_dict().values(), twin.state_dict().values()))


def test_latents_are_inside_from_the_first_step_on():
    model = network()
    assert (model[0].weight.abs() > 1).any()
    start_stage(model, stage(latent_clip=False))
    assert torch.equal(model[0].weight, network()[0].weight)
    start_stage(model, stage())
    assert torch.equal(model[0].weight, network()[0].weight.clamp(-1, 1))


@pytest.mark.parametrize("gradient", list(Gradient))
def test_a_stage_sets_its_switches(gradient):
    model = network()
    fields = {"weight_gradient": gradient, "activation_gradient": gradient, "stochastic_weights": True}
    start_stage(model, stage(latent_clip=False, **fields))
    assert [model[index].gradient for index in (0, 2, 3)] == [gradient] * 3
    assert model[0].stochastic and model[3].stochastic
    start_stage(model, stage(weight_gradient="polynomial"))
    assert [model[index].gradient for index in (0, 2, 3)] == ["polynomial", "clipped", "polynomial"]
    assert not model[0].stochastic
