"""The fit travels with the model in every file, and files of models without one are what they were."""

import json
from dataclasses import replace

import onnx as onnx_package
import pytest

from bnn_toolchain.converters import lce, onnx
from bnn_toolchain.errors import FileFormatError, UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.runtime.bundle.format import open_bundle
from bnn_toolchain.runtime.engines.native import library as native
from bnn_toolchain.runtime.export import export_bundle
from tests.runtime.networks import labelled, small_graph

GRAPH = small_graph()
FITTED = replace(GRAPH, spec=replace(GRAPH.spec, fit="pad"))


def metadata(data):
    return json.loads(
        {each.key: each.value for each in onnx_package.load_from_string(data).metadata_props}["bnnt.input"]
    )


def test_a_model_without_a_fit_says_nothing_of_it(tmp_path):
    assert list(GRAPH.spec.to_json()) == ["height", "width", "channels", "scale", "offset", "classes"]
    assert "fit" not in metadata(onnx.to_bytes(GRAPH))
    bundle = export_bundle(GRAPH, tmp_path / "bundle", test=labelled(GRAPH, 5, 0))
    assert "fit" not in json.loads((bundle.path / "manifest.json").read_text())["input"]


def test_a_fit_comes_back_from_every_file(tmp_path):
    data = onnx.to_bytes(FITTED)
    assert metadata(data)["fit"] == "pad" and onnx.from_bytes(data).spec == FITTED.spec
    assert lce.from_bytes(lce.to_bytes(FITTED)).spec == FITTED.spec
    bundle = export_bundle(FITTED, tmp_path / "bundle", test=labelled(FITTED, 5, 0))
    assert open_bundle(bundle.path).manifest.input.fit == "pad"
    session = native.load(data)
    assert (session.run(bundle.golden.images) == bundle.golden.logits).all()


@pytest.mark.parametrize("fit", ["squash", 3, ["pad"], {}])
def test_another_fit_is_refused(fit):
    with pytest.raises(UsageError, match="it must be crop, pad or stretch"):
        InputSpec.from_json(GRAPH.spec.to_json() | {"fit": fit})
    model = onnx_package.load_from_string(onnx.to_bytes(FITTED))
    for each in model.metadata_props:
        if each.key == "bnnt.input":
            each.value = json.dumps(GRAPH.spec.to_json() | {"fit": fit})
    with pytest.raises(FileFormatError, match=r"bnnt\.input"):
        onnx.from_bytes(model.SerializeToString())
