"""onnxruntime executes the exported file to the graph's integers, on every edge."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from flow.cli import app
from flow.errors import InputError
from flow.export import export_onnx
from flow.graphfile import load_graph, save_graph
from flow.ingest import lower
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import OPS, Add, ArgMax, MatVec, Threshold
from sim.runner import ROOT
from tests.engine.chains import random_inputs
from tests.engine.images import image_graphs
from tests.ingest.test_qcdq import image_network
from tests.ops.test_every_op import network, rescaling
from tests.schedule.networks import binary_network


def executed(graph, x, folder):
    """Every edge as onnxruntime has it, and the dtype of the file."""
    path = folder / "export.onnx"
    export_onnx(graph, path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    model.graph.output.extend(model.graph.value_info)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    kind = model.graph.input[0].type.tensor_type.elem_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {graph.input: x.astype(dtype)}), strict=True)), dtype


def counted(node):
    """A node whose thresholds are counted where no search of them is."""
    table = getattr(node.op, "thresholds", np.zeros((1, 1)))
    unsorted = (np.diff(table, axis=1) < 0).any()
    return replace(node, op=replace(node.op, compare="count")) if unsorted else node


def assert_same(graph, x, folder):
    found, dtype = executed(graph, x, folder)
    expected = graph.evaluate_all(x)
    assert found.keys() == expected.keys() - {graph.input}
    for name, values in found.items():
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    return dtype


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_executed_to_its_integers(tmp_path, op):
    graph = network(op)
    assert assert_same(graph, random_inputs(graph, 20), tmp_path) == np.float32


def test_a_rescaling_is_executed_to_its_integers(tmp_path):
    assert_same(rescaling(), random_inputs(rescaling(), 50), tmp_path)


@settings(max_examples=60, deadline=None)
@given(graph=image_graphs())
def test_random_image_graphs_are_executed_to_their_integers(tmp_path_factory, graph):
    graph = graph.map(counted)
    assert_same(graph, random_inputs(graph, 4), tmp_path_factory.mktemp("export"))


def dense_graph(weight, kind, bits, **options):
    """Four inputs of 8 bits, one row of ``weight`` and one of its opposite."""
    weights = [[weight] * 4, [-weight] * 4]
    op = MatVec(weights, kind, IntType(bits, True), **options)
    nodes = (Node("fc", op, ("x",), "logits"), Node("argmax", ArgMax(), ("logits",), "class"))
    return Graph("net", "x", Edge((4,), IntType(8)), nodes, "class")


@pytest.mark.parametrize(
    ("weight", "bits", "dtype"),
    [
        (127, 18, np.float32),
        (127, 12, np.float32),  # wraps
        ((1 << 14) - 1, 25, np.float64),
        ((1 << 30) - 1, 41, np.float64),
        ((1 << 30) - 1, 12, np.float64),
    ],
)
def test_sums_are_exact_in_the_narrowest_float_that_holds_them(tmp_path, weight, bits, dtype):
    graph = dense_graph(weight, IntType(weight.bit_length() + 1, True), bits)
    ends = np.array([[255] * 4, [0, 0, 0, 1], [255, 254, 253, 1], [0] * 4])
    assert assert_same(graph, ends, tmp_path) == dtype


def test_integers_that_no_float_holds_are_refused_by_node(tmp_path):
    graph = dense_graph((1 << 50) - 1, IntType(51, True), 60)
    with pytest.raises(InputError, match=r"^node 'fc': integers to \d+ are not exact in a float64"):
        export_onnx(graph, tmp_path / "export.onnx")
    assert not (tmp_path / "export.onnx").exists()


@pytest.mark.parametrize("form", ["count", "search"])
def test_falling_channels_and_bipolar_levels_are_counted_exactly(tmp_path, form):
    table, sign = [[-3], [0], [5]], [1, -1, -1]
    op = Threshold(table, IntType(4, True), sign, 0, IntType.bipolar1(), form, signs_stored=True)
    graph = Graph("net", "x", Edge((3,), IntType(4, True)), (Node("act", op, ("x",), "y"),), "y")
    assert_same(graph, np.arange(-8, 8)[:, None].repeat(3, axis=1), tmp_path)


def test_unsorted_thresholds_are_counted_and_never_searched(tmp_path):
    table = [[3, 1, 2]]
    for form in ("count", "search"):
        op = Threshold(table, IntType(4, True), [1], 0, IntType(2), form)
        edge = Edge((1,), IntType(4, True))
        graph = Graph("net", "x", edge, (Node("act", op, ("x",), "y"),), "y")
        if form == "count":
            assert_same(graph, np.arange(-8, 8)[:, None], tmp_path)
            continue
        with pytest.raises(InputError, match=r"^node 'act': a search of unsorted thresholds"):
            export_onnx(graph, tmp_path / "search.onnx")


def test_the_lines_of_the_documentation_run_what_the_command_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = network("SumPool")
    save_graph(graph, tmp_path / "g.json")
    args = ["export", "g.json", "--format", "onnx", "-o", "network.onnx"]
    assert CliRunner().invoke(app, args).exit_code == 0
    page = (ROOT / "docs" / "export.md").read_text().splitlines()
    code = "\n".join(line[4:] for line in page if line.startswith("    "))
    names = {"x": random_inputs(graph, 30)}
    exec(code, names)
    np.testing.assert_array_equal(names["classes"], graph.evaluate(names["x"]))


def test_the_command_writes_the_finn_dialect_and_refuses_other_formats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_graph(rescaling(), tmp_path / "g.json")
    args = ["export", "g.json", "-o", "f.onnx", "--format"]
    assert CliRunner().invoke(app, [*args, "finn"]).exit_code == 0
    assert {node.op_type for node in onnx.load("f.onnx").graph.node} >= {"MultiThreshold"}
    refused = CliRunner().invoke(app, [*args, "tflite"], standalone_mode=False)
    assert "no format 'tflite'; use finn or onnx" in str(refused.exception)


def test_compare_says_which_node_kept_finn_base_out_and_lets_qonnx_decide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(image_network(np.random.default_rng(3), spread=2), "net.onnx")
    save_graph(lower(tmp_path / "net.onnx").graph, tmp_path / "g.json")
    kind, shape = load_graph(tmp_path / "g.json").input_edge.type, (5, 2, 5, 5)
    images = np.random.default_rng(1).integers(kind.lo, kind.hi + 1, shape)
    np.savez("data.npz", x=images, y=np.zeros(5, dtype=int))
    (tmp_path / "finn.onnx").write_text("of an earlier graph")
    args = ["compare", "net.onnx", "g.json", "--data", "data.npz", "--finn", "finn.onnx"]
    done = CliRunner().invoke(app, [*args, "--json", "-o", "found.json"])
    assert done.exit_code == 0, done.exception
    assert "finn-base: not run, node '" in done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["finn-base"]["not_run"].startswith("node '")
    assert (found["qonnx"]["mismatches"], found["qonnx"]["images"]) == (0, 5)
    assert not (tmp_path / "finn.onnx").exists()


def test_agreeing_bits_are_counted_exactly(tmp_path):
    graph = binary_network([8, 12, 6, 4], seed=1, signs=True)
    assert any(getattr(node.op, "popcount", False) for node in graph.nodes)
    assert_same(graph, random_inputs(graph, 40), tmp_path)


def test_a_sum_below_zero_wraps_in_an_unsigned_register(tmp_path):
    node = Node("add", Add([[-1], [0]], [0], IntType(4)), ("x", "x"), "y")
    graph = Graph("net", "x", Edge((1,), IntType(2)), (node,), "y")
    assert_same(graph, np.arange(4)[:, None], tmp_path)
    assert graph.evaluate(np.array([[1]])).tolist() == [[15]]


@pytest.mark.parametrize(("bits", "signed", "dtype"), [(8, True, "int8"), (8, False, "uint8")])
def test_weights_of_eight_bits_are_stored_in_bytes(tmp_path, bits, signed, dtype):
    kind = IntType(bits, signed)
    op = MatVec([[kind.lo, kind.hi]], kind, IntType(20, True))
    node = Node("fc", op, ("x",), "y")
    graph = Graph("net", "x", Edge((2,), IntType(4)), (node,), "y")
    assert_same(graph, np.array([[15, 0], [0, 15], [3, 4]]), tmp_path)
    stored = [
        onnx.numpy_helper.to_array(c) for c in onnx.load(tmp_path / "export.onnx").graph.initializer
    ]
    assert dtype in [values.dtype.name for values in stored]
