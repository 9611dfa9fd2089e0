"""Every op is stored, printed and verified; every stage takes it or refuses it by name."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from flow.attack import bfa, pgd
from flow.build.netlist import netlist
from flow.certify import certify_complete, input_box, propagate, single_flips
from flow.certify.plain_bounds import near
from flow.certify.plain_proof import label_holds
from flow.cli import app
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.export import export_finn
from flow.graphfile import digest, load_graph, save_graph
from flow.ir import Edge, Graph, IntType, Node
from flow.ir.text import graph_text
from flow.ir.verify import verify
from flow.ops import (
    OPS,
    Add,
    ArgMax,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)
from flow.passes import narrow_accumulators, run_passes
from flow.report.drawing import graph_dot
from flow.report.tables import node_rows
from flow.schedule import make_plan
from tests.engine.chains import random_inputs
from tests.engine.images import image_graphs

U2 = IntType(2)
IMAGE, VECTOR = Edge((3, 3, 2), U2), Edge((4,), U2)
WIDE = IntType(6, True)


def ones(rows, columns):
    return MatVec(np.ones((rows, columns), dtype=int), IntType(2, True), WIDE)


# For each op a node with its input edge; ``x`` twice where it takes two inputs.
EXAMPLES = {
    "MatVec": (ones(3, 4), VECTOR, 1),
    "Threshold": (Threshold([[1, 2, 3]] * 4, IntType(3), [1] * 4, 0, U2), VECTOR, 1),
    "ArgMax": (ArgMax(), VECTOR, 1),
    "Window": (Window((2, 3), dilation=(1, 1)), IMAGE, 1),
    "Pad": (Pad((1, 0, 0, 2), 3), IMAGE, 1),
    "MaxPool": (MaxPool((2, 2), (1, 1)), IMAGE, 1),
    "SumPool": (SumPool((3, 3), (1, 1), IntType(6)), IMAGE, 1),
    "Add": (Add([[1, 2, 1, 1], [3, 1, 1, 1]], [-1], WIDE), VECTOR, 2),
    "Concat": (Concat(U2), VECTOR, 2),
    "Reshape": (Reshape((4,)), VECTOR, 1),
    "Transpose": (Transpose((0,)), VECTOR, 1),
}


def network(op):
    """The op named ``subject`` between the input and a classifier of three classes."""
    example, edge, inputs = EXAMPLES[op]
    nodes = [Node("subject", example, ("x",) * inputs, "a")]
    if op == "ArgMax":
        nodes = [Node("fc0", ones(3, 4), ("x",), "f"), Node("subject", ArgMax(), ("f",), "a")]
        return Graph("net", "x", edge, tuple(nodes), "a")
    name, out = "a", example.out_type(*[edge] * inputs)
    if len(out.shape) > 1:
        nodes.append(Node("flat", Reshape((out.elements,)), ("a",), "b"))
        name = "b"
    if op == "MatVec":
        table = Threshold([[1, 2, 3]] * 3, IntType(7, True), [1] * 3, 0, U2)
        nodes.append(Node("act0", table, (name,), "t"))
        name, out = "t", Edge((3,), U2)
    last = replace(ones(3, out.elements), accumulator=IntType(12, True))  # which never wraps
    nodes.append(Node("fc", last, (name,), "logits"))
    nodes.append(Node("argmax", ArgMax(), ("logits",), "class"))
    return Graph("net", "x", edge, tuple(nodes), "class")


def labelled(graph, seed=0):
    x = random_inputs(graph, 8, seed)
    return x, graph.evaluate(x)


def finn(graph, folder):
    export_finn(graph, folder / "finn.onnx")


def build(graph, folder):
    netlist(graph, make_plan(graph))


def box(graph, folder):
    propagate(graph, input_box(graph, labelled(graph)[0], radius=1))


def linear(graph, folder):
    x, y = labelled(graph)
    assert certify_complete(graph, x, y=y, radius=1, attack=pgd).summary()["unknown"] == 0


def checker(graph, folder):
    x, y = labelled(graph)
    label_holds(graph, near(graph, x[0], 1), int(y[0]))


def flips(graph, folder):
    x, y = labelled(graph)
    single_flips(graph, x, y=y)


def attack(graph, folder):
    x, y = labelled(graph)
    test = 3 - x
    bfa(graph, x, y, budget=1, seed=0, evaluate_on=(test, graph.evaluate(test)))


def rescaling():
    """An Add of one input, mid-chain and in front of ArgMax: what stages may take of it."""
    first, last = Add([[2, -1, 3]], [1, 0, -2], WIDE), Add([[3, 1, 2]], [0, 5, 5], IntType(8, True))
    nodes = (
        Node("fc0", ones(3, 4), ("x",), "a"),
        Node("subject", first, ("a",), "b"),
        Node("act0", Threshold([[1, 2, 3]] * 3, IntType(7, True), [1] * 3, 0, U2), ("b",), "c"),
        Node("fc1", ones(3, 3), ("c",), "d"),
        Node("logits0", last, ("d",), "e"),
        Node("argmax", ArgMax(), ("e",), "class"),
    )
    return Graph("net", "x", VECTOR, nodes, "class")


@pytest.mark.parametrize("stage", ["export", "build", "box bounds", "checker", "flips", "attack"])
def test_an_add_of_one_input_is_taken(tmp_path, stage):
    STAGES[stage][0](rescaling(), tmp_path)


STAGES = {
    "export": (finn, set(OPS)),
    "build": (build, set(OPS) - {"Window"}),  # the example has no product behind its windows
    "box bounds": (box, set(OPS)),
    "linear bounds": (linear, set(OPS)),
    "checker": (checker, set(OPS)),
    "flips": (flips, set(OPS)),
    "attack": (attack, set(OPS)),
}


def test_there_is_an_example_of_every_op():
    assert list(EXAMPLES) == list(OPS)
    for name, (op, _, _) in EXAMPLES.items():
        assert type(op) is OPS[name]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("op", OPS)
def test_a_stage_takes_an_op_or_refuses_the_node_by_name(tmp_path, op, stage):
    run, taken = STAGES[stage]
    if op in taken:
        run(network(op), tmp_path)
        return
    with pytest.raises(InputError, match=r"^node 'subject': ") as refused:
        run(network(op), tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_engine_ready_stored_printed_and_drawn(tmp_path, op):
    graph = run_passes(network(op))
    x = random_inputs(graph, 20)
    np.testing.assert_array_equal(BatchedEngine(graph).run(x), graph.evaluate(x))
    np.testing.assert_array_equal(narrow_accumulators(graph).evaluate(x), graph.evaluate(x))
    written = save_graph(graph, tmp_path / "g.json")
    loaded = load_graph(tmp_path / "g.json")
    assert (digest(loaded), graph_text(loaded)) == (written, graph_text(graph))
    assert f"subject:{op}(" in graph_text(loaded)
    assert op in [row["op"] for row in node_rows(loaded) if row["node"] == "subject"]
    assert "subject" in graph_dot(loaded)
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "g.json")])
    assert (shown.exit_code, "subject" in shown.output) == (0, True)


@settings(max_examples=40)
@given(graph=image_graphs())
def test_image_graphs_survive_the_disk(tmp_path_factory, graph):
    path = tmp_path_factory.mktemp("graph") / "g.json"
    written = save_graph(verify(graph), path)
    loaded = load_graph(path)
    assert (digest(loaded), graph_text(loaded)) == (written, graph_text(graph))
    x = random_inputs(graph, 3)
    np.testing.assert_array_equal(loaded.evaluate(x), graph.evaluate(x))


def test_margins_and_kernels_are_tuples_again(tmp_path):
    save_graph(network("Pad"), tmp_path / "g.json")
    assert load_graph(tmp_path / "g.json").node("subject").op == Pad((1, 0, 0, 2), 3)
