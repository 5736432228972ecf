import sys

import pytest
import torch
from PIL import Image

from bnn_toolchain.errors import FileFormatError, Unavailable, UsageError
from bnn_toolchain.training.fit import fit
from bnn_toolchain.training.plot import plot_run

from .small import splits
from .test_fit import network, settings


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("plot") / "run"
    fit(network(), splits(), settings(stages=[{"epochs": 2}, {"epochs": 1}]), folder)
    return folder


def test_the_picture_shows_every_layer_and_stage(run, tmp_path, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")  # text as text
    plot_run(run, tmp_path / "run.svg", network())
    text = (tmp_path / "run.svg").read_text()
    titles = ("loss", "accuracy", "share of +1 outputs", "latent weights", "learning rate")
    for said in (*titles, "validation", "1.weight", "5.weight"):
        assert f">{said}<" in text, said
    assert text.count("stroke-dasharray") == 5  # one boundary in each panel that has epochs
    assert [each.name for each in tmp_path.iterdir()] == ["run.svg"]


def test_other_kinds_of_pictures(run, tmp_path):
    plot_run(run, tmp_path / "run.png", network())
    with Image.open(tmp_path / "run.png") as image:
        assert image.width > 1000
    with pytest.raises(UsageError, match=r"ends in \.svg, \.png or \.pdf"):
        plot_run(run, tmp_path / "run.gif", network())


def test_what_cannot_be_drawn(run, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="has not finished an epoch"):
        plot_run(tmp_path, tmp_path / "x.svg")
    with pytest.raises(FileFormatError):
        plot_run(run, tmp_path / "x.svg", torch.nn.Linear(2, 2))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(Unavailable, match=r"pip install 'bnnt\[plot\]'"):
        plot_run(run, tmp_path / "x.svg", network())
