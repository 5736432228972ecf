"""Layers of torch: those that have a place, and those that are refused with what to use instead."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from .network import Network, assert_equal, assert_refused, line_of, trained

NORMS = {
    "affine": lambda: trained(nn.BatchNorm2d(8), 1),
    "without a scale": lambda: nn.BatchNorm2d(8, affine=False),
    "another eps": lambda: trained(nn.BatchNorm2d(8, eps=0.5), 1),
    "cumulative": lambda: trained(nn.BatchNorm2d(8, momentum=None), 1),
    "synchronised": lambda: trained(nn.SyncBatchNorm(8), 1),
}


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_batch_norms(norm):
    part = norm()
    part.running_mean.add_(0.5)
    assert_equal(Network(lambda m, x: m.part(x), part=part))


def test_a_norm_without_a_module():
    def middle(m, x):
        norm = m.first_norm
        return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.1, 1e-3)

    assert_equal(Network(middle))


ACTIVATIONS = {
    "ReLU": lambda m, x: nn.ReLU()(x) - 0.5,
    "F.relu": lambda m, x: functional.relu(x) - 0.5,
    "torch.relu_": lambda m, x: torch.relu_(x) - 0.5,
    "clamp(min=0)": lambda m, x: x.clamp(min=0) - 0.5,
    "clamp_min": lambda m, x: torch.clamp_min(x, 0) - 0.5,
    "PReLU": lambda m, x: nn.PReLU()(x) - 0.5,
    "Hardtanh": lambda m, x: nn.Hardtanh()(x) + 0.5,
    "F.hardtanh": lambda m, x: functional.hardtanh(x) + 0.5,
    "clamp(-1, 1)": lambda m, x: x.clamp(-1, 1) + 0.5,
    "clip": lambda m, x: torch.clip(x, -1.0, 1.0) + 0.5,
    "threshold at 0": lambda m, x: functional.relu(-x) - 0.5,
}


@pytest.mark.parametrize("spelling", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations(spelling):
    assert_equal(Network(spelling))


REFUSED = {
    "ReLU6": (lambda m, x: functional.relu6(x), "Hardtanh(-1, 1)"),
    "Hardtanh(0, 6)": (lambda m, x: functional.hardtanh(x, 0, 6), "bounds -1 and 1"),
    "clamp(0, 1)": (lambda m, x: x.clamp(0, 1), "bounds -1 and 1"),
    "LeakyReLU": (lambda m, x: functional.leaky_relu(x), "ReLU"),
    "GELU": (lambda m, x: functional.gelu(x), "ReLU"),
    "SiLU": (lambda m, x: functional.silu(x), "ReLU"),
    "ELU": (lambda m, x: functional.elu(x), "ReLU"),
    "Tanh": (lambda m, x: x.tanh(), "ReLU"),
    "Sigmoid": (lambda m, x: x.sigmoid(), "ReLU"),
    "Hardswish": (lambda m, x: functional.hardswish(x), "ReLU"),
    "Softplus": (lambda m, x: functional.softplus(x), ""),
    "Softmax": (lambda m, x: x.softmax(1), "leave it out"),
    "GroupNorm": (lambda m, x: functional.group_norm(x, 2), "batch norm"),
    "LayerNorm": (lambda m, x: functional.layer_norm(x, (8, 8, 6)), "batch norm"),
    "InstanceNorm": (lambda m, x: functional.instance_norm(x), "batch norm"),
    "RMSNorm": (lambda m, x: functional.rms_norm(x, (6,)), ""),
    "normalize": (lambda m, x: functional.normalize(x), ""),
    "LocalResponseNorm": (lambda m, x: functional.local_response_norm(x, 3), ""),
    "a norm in training mode": (lambda m, x: m.first_norm.train()(x), "evaluation mode"),
    "a norm without statistics": (lambda m, x: m.bare_norm(x), "statistics"),
    "ConvTranspose2d": (lambda m, x: m.up(x), "Conv2d"),
    "LSTM": (lambda m, x: m.lstm(x.flatten(2))[0].view(x.shape), "feed-forward"),
    "GRU": (lambda m, x: m.gru(x.flatten(2))[0].view(x.shape), "feed-forward"),
    "attention": (lambda m, x: m.attention(*[x.flatten(2)] * 3)[0].view(x.shape), ""),
    "Embedding": (lambda m, x: m.embedding(x.argmax(1)).permute(0, 3, 1, 2), ""),
    "interpolate": (lambda m, x: functional.interpolate(x, size=(16, 12)), ""),
    "pixel_shuffle": (lambda m, x: functional.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), ""),
    "cat of two": (lambda m, x: torch.cat([x, x + 1], 1)[:, ::2], "cat"),
    "stack of two": (lambda m, x: torch.stack([x, x + 1], 1).sum(1), ""),
    "halves, exchanged": (lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1), "cat"),
    "channel shuffle": (lambda m, x: x.view(-1, 2, 4, 8, 6).transpose(1, 2).reshape(-1, 8, 8, 6), "reorder"),
    "transposed": (lambda m, x: x.transpose(2, 3), "reorder"),
    "mirrored": (lambda m, x: x.flip(3), "reorder"),
    "shifted": (lambda m, x: x.roll(1, 3), "reorder"),
    "half of the channels": (lambda m, x: x[:, :4].repeat(1, 2, 1, 1), ""),
    "a crop": (lambda m, x: x[:, :, 1:-1, 1:-1], ""),
    "a dense layer on each pixel": (lambda m, x: m.pixel(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), "reorder"),
    "bilinear": (lambda m, x: torch.einsum("nchw,nchw->nchw", x, x), ""),
    "fft": (lambda m, x: torch.fft.fft2(x).real, ""),
    "topk": (lambda m, x: x.topk(8, 1)[0], ""),
    "sort": (lambda m, x: x.sort(1)[0], ""),
    "a comparison of values": (lambda m, x: (x > m.first_norm(x)).float(), ""),
}


@pytest.mark.parametrize(("spelling", "remedy"), REFUSED.values(), ids=REFUSED)
def test_layers_without_a_place(spelling, remedy):
    parts = {
        "bare_norm": nn.BatchNorm2d(8, track_running_stats=False),
        "up": nn.ConvTranspose2d(8, 8, 3),
        "lstm": nn.LSTM(48, 48, batch_first=True),
        "gru": nn.GRU(48, 48, batch_first=True),
        "attention": nn.MultiheadAttention(48, 2, batch_first=True),
        "embedding": nn.Embedding(8, 8),
        "pixel": nn.Linear(8, 8),
    }
    assert_refused(Network(spelling, **parts), line_of(spelling), remedy)
