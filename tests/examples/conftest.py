import numpy as np
import pytest
from PIL import Image

from bnn_toolchain.runtime.export import export_bundle
from bnn_toolchain.runtime.targets.target import host_target, oldest_target
from tests.runtime.networks import labelled, small_graph


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A small network for this machine and for any arm64."""
    graph = small_graph()
    targets = dict.fromkeys((host_target(), oldest_target("arm64")))
    return export_bundle(
        graph, tmp_path_factory.mktemp("b") / "bundle", test=labelled(graph, 40, wrong=0), targets=[*targets]
    )


@pytest.fixture(scope="session")
def pictures(bundle, tmp_path_factory):
    """The first golden images as files, and the reference's logits of each."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for index, image in enumerate(bundle.golden.images[:8]):
        paths.append(folder / f"{index}.png")
        Image.fromarray(image[:, :, 0]).save(paths[-1])
    return paths, np.asarray(bundle.golden.logits[:8])
