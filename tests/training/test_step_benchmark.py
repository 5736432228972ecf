"""The yardstick of the speed measurement computes what our code computes."""

import torch

from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.models import MlpConfig, VggConfig, build_network
from bnn_toolchain.training.step_benchmark import measure, plain_twin

SPEC = InputSpec(12, 10, 1, (1 / 128,), (128.0,), tuple("0123456789"))


def test_the_plain_network_has_the_same_outputs_and_gradients():
    for config in (MlpConfig(hidden=32), VggConfig(stages=((8,), (16,)), dense=(24,))):
        torch.manual_seed(0)
        model = build_network(config, SPEC)
        plain = plain_twin(model)
        x = torch.randint(-128, 128, (20, 1, 12, 10)) / 128
        outputs = [each(x) for each in (model, plain)]
        assert torch.equal(*outputs)
        for output in outputs:
            output.square().sum().backward()
        gradients = [[p.grad for p in each.parameters() if p.ndim > 1] for each in (model, plain)]
        assert len(gradients[0]) == len(gradients[1]) > 2
        for ours, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_both_networks_are_timed():
    torch.set_num_threads(1)
    rows = measure(steps=1, compiled=False)
    assert [row.network.split()[0] for row in rows] == ["mlp", "vgg"]
    assert all(row.plain > 0 and row.ours > 0 for row in rows)
