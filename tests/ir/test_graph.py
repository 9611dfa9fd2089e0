"""Graphs: legality, evaluation, faults and files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.graphfile import digest, load_graph, save_graph
from flow.ir import Edge, Fault, Graph, IntType, Kind, Node
from flow.ops import ArgMax, MatVec, Threshold

BIPOLAR = IntType.bipolar1()


def tiny() -> Graph:
    rng = np.random.default_rng(0)
    first = MatVec(rng.choice([-1, 1], (4, 8)), BIPOLAR, IntType(9, True))
    levels = Threshold(
        rng.integers(-40, 80, (4, 1)),
        IntType(9, True),
        np.array([1, 1, -1, 1]),
        0,
        BIPOLAR,
        signs_stored=True,
    )
    last = MatVec(rng.choice([-1, 1], (3, 4)), BIPOLAR, IntType(3), popcount=True)
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", levels, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    return Graph("tiny", "x", Edge((8,), IntType(5, declared=(0, 16))), nodes, "class")


@pytest.fixture
def graph():
    return tiny()


@pytest.fixture
def x():
    return np.random.default_rng(1).integers(0, 17, (50, 8))


def test_edges_carry_shapes_and_types(graph):
    assert {name: str(edge) for name, edge in graph.edges().items()} == {
        "x": "8:u5[0..16]",
        "a0": "4:s9",
        "y0": "4:b1",
        "logits": "3:u3",
        "class": ":u2",
    }
    assert graph.logits == "logits"


def test_popcount_logits_count_agreeing_positions(graph, x):
    values = graph.evaluate_all(x)
    weights = graph.node("fc1").op.weights
    agreeing = (values["y0"][:, None, :] == weights).sum(axis=-1)
    np.testing.assert_array_equal(values["logits"], agreeing)


def test_the_smallest_index_wins_a_tie():
    assert ArgMax().evaluate(np.array([[1, 3, 3], [2, 2, 2]])).tolist() == [1, 0]


def test_a_descending_channel_counts_down(graph, x):
    values = graph.evaluate_all(x)
    op = graph.node("act0").op
    below = values["a0"][:, 2] < op.thresholds[2, 0]
    np.testing.assert_array_equal(values["y0"][:, 2], np.where(below, 1, -1))


def test_two_flips_of_one_bit_cancel(graph, x):
    flip = Fault("fc0", "weights", (1, 2), 0)
    np.testing.assert_array_equal(graph.evaluate(x, [flip, flip]), graph.evaluate(x))


def test_a_bipolar_flip_negates_the_weight(graph):
    struck = graph.with_faults([Fault("fc0", "weights", (1, 2), 0)])
    before, after = graph.node("fc0").op.weights, struck.node("fc0").op.weights
    assert after[1, 2] == -before[1, 2]
    assert (before != after).sum() == 1


@pytest.mark.parametrize(("kind", "bit"), [(Kind.STUCK0, -1), (Kind.STUCK1, 1)])
def test_a_stuck_bit_is_what_it_is_stuck_at(graph, kind, bit):
    struck = graph.with_faults([Fault("fc0", "weights", (0, 0), 0, kind)])
    assert struck.node("fc0").op.weights[0, 0] == bit


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("fc9", "weights", (0, 0), 0), "no node named 'fc9'"),
        (Fault("fc0", "bias", (0,), 0), r"flip fc0\.bias\[0\] bit 0: node stores weights"),
        (Fault("fc0", "weights", (4, 0), 0), r"fc0\.weights\[4,0\] bit 0: weights is 4x8 of 1"),
        (Fault("fc0", "weights", (0, 0), 1), "weights is 4x8 of 1 bits"),
        (Fault("fc0", "weights", (0,), 0), "weights is 4x8 of 1 bits"),
    ],
)
def test_a_fault_that_names_no_stored_bit_is_refused(graph, x, fault, message):
    with pytest.raises((KeyError, IndexError), match=message):
        graph.evaluate(x, [fault])


def test_inputs_outside_their_declared_range_are_refused(graph, x):
    with pytest.raises(ValueError, match=r"input values must be integers within u5\[0\.\.16\]"):
        graph.evaluate(x + 1)


def test_a_wrong_shape_names_node_and_shapes(graph):
    wide = Graph("wide", "x", Edge((9,), IntType(5)), graph.nodes, "class")
    with pytest.raises(ValueError, match="node 'fc0': 8 columns cannot take an input 9:u5"):
        wide.edges()


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(0, 2**32))
def test_search_equals_count_while_thresholds_ascend(steps, seed):
    rng = np.random.default_rng(seed)
    sorted_thresholds = np.sort(rng.integers(-20, 20, (5, steps)), axis=1)
    x = rng.integers(-25, 25, (40, 5))
    ones = np.ones(5, dtype=int)
    count, search = (
        Threshold(sorted_thresholds, IntType(6, True), ones, 0, IntType(4), compare=form)
        for form in ("count", "search")
    )
    np.testing.assert_array_equal(count.evaluate(x), search.evaluate(x))


def test_search_probes_in_its_documented_order_when_thresholds_are_unsorted():
    op = Threshold([[5, 1, 9]], IntType(4), [1], 0, IntType(2), compare="search")
    # probe 1 (=1), then 2 (=9) or 0 (=5): 4 reaches 1, misses 9 -> level 2, though count says 1
    assert op.evaluate(np.array([[4]])).tolist() == [[2]]


def test_a_saved_graph_is_read_back_with_its_digest(graph, x, tmp_path):
    written = save_graph(graph, tmp_path / "g.json")
    again = load_graph(tmp_path / "g.json")
    assert digest(again) == written == digest(graph)
    np.testing.assert_array_equal(again.evaluate(x), graph.evaluate(x))


def test_constants_of_any_memory_order_are_saved_row_by_row(tmp_path):
    op = MatVec(np.arange(6).reshape(3, 2).T, IntType(3), IntType(8, True))
    graph = Graph("g", "x", Edge((3,), IntType(2)), (Node("fc0", op, ("x",), "y"),), "y")
    written = save_graph(graph, tmp_path / "g.json")
    assert digest(load_graph(tmp_path / "g.json")) == written


def test_one_changed_weight_changes_the_digest(graph):
    assert digest(graph.with_faults([Fault("fc0", "weights", (0, 0), 0)])) != digest(graph)


def test_every_damaged_byte_of_the_constants_is_refused(graph, tmp_path):
    save_graph(graph, tmp_path / "g.json")
    blob = (tmp_path / "g.safetensors").read_bytes()
    for position in range(0, len(blob), 7):
        broken = bytearray(blob)
        broken[position] ^= 1
        (tmp_path / "g.safetensors").write_bytes(broken)
        with pytest.raises(InputError, match=r"g\.safetensors: damaged \(SHA-256 differs\)"):
            load_graph(tmp_path / "g.json")


@pytest.mark.parametrize("key", ["input_type", "nodes", "output", "digest", "constants"])
def test_a_graph_file_without_a_key_is_refused(graph, tmp_path, key):
    save_graph(graph, tmp_path / "g.json")
    record = json.loads((tmp_path / "g.json").read_text())
    del record[key]
    (tmp_path / "g.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"g\.json: damaged"):
        load_graph(tmp_path / "g.json")


def test_an_edited_base_is_refused_by_the_digest(graph, tmp_path):
    save_graph(graph, tmp_path / "g.json")
    text = (tmp_path / "g.json").read_text()
    (tmp_path / "g.json").write_text(text.replace("u5[0..16]", "u5[0..17]"))
    with pytest.raises(InputError, match=r"damaged \(digest differs\); lower the model again"):
        load_graph(tmp_path / "g.json")


def test_a_missing_graph_file_says_how_to_make_it(tmp_path):
    with pytest.raises(InputError, match="no such file; make it with `bitproof lower`"):
        load_graph(tmp_path / "none.json")


def test_text_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "g.json").write_text("{")
    (tmp_path / "g.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="not a graph file"):
        load_graph(tmp_path / "g.json")


@pytest.mark.parametrize(
    ("key", "value"), [("input_affine", ["1/0", "0"]), ("input_shape", [10**30]), ("nodes", [])]
)
def test_values_that_make_no_graph_are_refused(graph, tmp_path, key, value):
    save_graph(graph, tmp_path / "g.json")
    record = json.loads((tmp_path / "g.json").read_text())
    record[key] = value
    (tmp_path / "g.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"g\.json: damaged"):
        load_graph(tmp_path / "g.json")


def test_no_positions_in_a_grouped_product_are_refused(graph, tmp_path):
    save_graph(graph, tmp_path / "g.json")
    record = json.loads((tmp_path / "g.json").read_text())
    record["nodes"][0]["settings"]["positions"] = 0
    (tmp_path / "g.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="cannot be 1 groups of 0 positions"):
        load_graph(tmp_path / "g.json")
