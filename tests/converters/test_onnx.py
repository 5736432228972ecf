import numpy as np
import onnx
import onnxruntime as ort
import pytest

from bnn_toolchain.converters.graph.graph import Graph, same_graph
from bnn_toolchain.converters.onnx import from_bytes, load, save, to_bytes
from bnn_toolchain.converters.reference import run
from bnn_toolchain.errors import BnntError, FileFormatError, Unsupported, UsageError

from .graphs import fused, images, mixed
from .pinned import GRAPHS

LEVELS = [ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL]


def stock(data: bytes, pixels: np.ndarray, level: ort.GraphOptimizationLevel) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"pixels": pixels})[0]


@pytest.mark.parametrize("make", [fused, mixed])
def test_a_file_passes_the_checker_and_loses_nothing(make):
    for seed in range(5):
        graph = make(np.random.default_rng(seed))
        data = to_bytes(graph)
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
        read = from_bytes(data)
        assert same_graph(graph, read)
        assert to_bytes(read) == data


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("batch", [1, 3])
def test_stock_onnxruntime_gives_the_bits_of_the_reference(level, batch):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        graph = fused(rng)
        pixels = images(rng, graph.spec, batch)
        np.testing.assert_array_equal(stock(to_bytes(graph), pixels, level), run(graph, pixels))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_every_operator_gives_the_bits_of_the_reference_where_no_sum_rounds(level, make):
    graph = make()
    pixels = images(np.random.default_rng(0), graph.spec, 50)
    np.testing.assert_array_equal(stock(to_bytes(graph), pixels, level), run(graph, pixels))


@pytest.mark.parametrize("level", LEVELS)
def test_stock_onnxruntime_comes_close_where_reals_are_summed(level):
    rng = np.random.default_rng(1)
    graph = mixed(rng)
    pixels = images(rng, graph.spec, 4)
    np.testing.assert_allclose(stock(to_bytes(graph), pixels, level), run(graph, pixels), rtol=1e-4, atol=1e-4)


def test_a_file_holds_only_the_functions_that_it_uses(tmp_path):
    graph = mixed(np.random.default_rng(0))
    names = {function.name for function in onnx.load_from_string(to_bytes(graph)).functions}
    used = {"PixelNormalize", "AffineReal", "BinaryConv2d", "Unpack", "Sign", "ToReal", "Flatten", "BinaryDense"}
    assert names == used


def test_saving_replaces_the_file_whole(tmp_path):
    first, second = fused(np.random.default_rng(0)), fused(np.random.default_rng(1))
    path = tmp_path / "model.onnx"
    save(first, path)
    save(second, path)
    assert same_graph(load(path), second)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="cannot write"):
        save(first, tmp_path / "missing" / "model.onnx")
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "nothing.onnx")


def test_truncated_files_are_refused():
    data = to_bytes(fused(np.random.default_rng(0)))
    for length in range(0, len(data), 41):
        with pytest.raises(FileFormatError):
            from_bytes(data[:length])


def test_somebody_elses_onnx_is_named_so():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[N, 3] x) => (float[N, 3] y) { y = Relu (x) }'
    )
    with pytest.raises(FileFormatError, match="not one that bnnt wrote"):
        from_bytes(model.SerializeToString())


def test_mutations_end_in_a_typed_error_or_a_model_that_is_written_back_alike():
    rng = np.random.default_rng(0)
    originals = [to_bytes(make(rng)) for make in (fused, mixed)]
    survivors = 0
    for step in range(1500):
        data = bytearray(originals[step % 2])
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            graph = from_bytes(bytes(data))
        except BnntError:
            continue
        survivors += 1
        assert same_graph(from_bytes(to_bytes(graph)), graph)
    assert survivors > 0


def mutated(change):
    model = onnx.load_from_string(to_bytes(fused(np.random.default_rng(0))))
    change(model)
    return model.SerializeToString()


def attribute(model, node, name):
    return next(a for a in model.graph.node[node].attribute if a.name == name)


def initializer(model, name):
    return next(t for t in model.graph.initializer if t.name == name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: attribute(m, 1, "strides").ints.append(1), "'strides' has 3 numbers"),
        (lambda m: attribute(m, 1, "group").__setattr__("i", 0), "'group' is 0"),
        (lambda m: attribute(m, 1, "in_channels").__setattr__("i", 2**40), "'in_channels' is 1099511627776"),
        (lambda m: attribute(m, 1, "pads").ints.__setitem__(0, -1), "'pads' is -1"),
        (lambda m: m.graph.node[1].attribute.pop(), "lacks the attribute"),
        (lambda m: m.graph.node[1].input.pop(), "lacks tensor 2"),
        (lambda m: m.graph.node[2].__setattr__("op_type", "Softmax"), "Softmax is an operator that bnnt does not"),
        (lambda m: initializer(m, "first/tau").dims.__setitem__(0, 10**9), "holds 72 bytes of"),
        (lambda m: initializer(m, "first/tau").dims.__setitem__(0, -1), "has the shape"),
        (lambda m: initializer(m, "first/tau").__setattr__("data_type", 8), "a type or place"),
        (lambda m: initializer(m, "first/weight").__setattr__("raw_data", b"\xff" * 162), "tail bits"),
        (lambda m: m.functions[0].node[0].__setattr__("op_type", "Exp"), "functions"),
        (lambda m: m.graph.output[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 5), "form"),
        (lambda m: m.metadata_props[1].__setattr__("value", '{"height": Infinity}'), "bnnt.input"),
        (lambda m: m.metadata_props[1].__setattr__("value", "[" * 10**5), "bnnt.input"),
        (lambda m: m.metadata_props[0].__setattr__("value", "2"), "format '2'"),
        (lambda m: m.opset_import[0].__setattr__("version", 17), "ONNX version"),
    ],
)
def test_each_damage_has_its_message(change, message):
    with pytest.raises(FileFormatError, match=message):
        from_bytes(mutated(change))


@pytest.mark.parametrize("number", range(20))
def test_a_name_in_a_functions_body_is_read(number):
    """Another name of a value, even where the body means the same: what is not ours to the letter was not checked."""
    model = onnx.load_from_string(to_bytes(fused(np.random.default_rng(0))))
    values = [(f, name) for f in model.functions for node in f.node for name in node.output if name not in f.output]
    function, name = values[number % len(values)]
    for node in function.node:
        for names in (node.input, node.output):
            for place, value in enumerate(names):
                if value == name:
                    names[place] = f"{name}_"
    with pytest.raises(FileFormatError, match="the bnnt functions in the file are not those of this format"):
        from_bytes(model.SerializeToString())


def test_an_unlowered_graph_has_no_file():
    graph = fused(np.random.default_rng(0))
    flat = graph.nodes[6]
    nodes = [type(n)(n.name, type(n.op)(channels_last=False), n.inputs) if n is flat else n for n in graph.nodes]
    with pytest.raises(Unsupported, match="lower the graph first"):
        to_bytes(graph.replace(nodes))


def test_a_name_with_the_separator_is_refused():
    graph = fused(np.random.default_rng(0))
    node = graph.nodes[-1]
    with pytest.raises(Unsupported, match="hold no '/'"):
        to_bytes(Graph(graph.spec, (*graph.nodes[:-1], type(node)("a/b", node.op, node.inputs))))
