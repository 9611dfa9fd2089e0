"""Transient faults: enumerated from the graph, kept in lists, followed exactly by the model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.campaign import FaultList, draw_faults, load_faults, run_campaign, save_faults
from flow.campaign.elements import Target, element_bits
from flow.campaign.faultmodel import Transient
from flow.campaign.model import StruckModel, evaluate_faults, reference
from flow.campaign.recipe import Recipe
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Edge, Fault, Graph, IntType, Kind, Node
from flow.ops import ArgMax, MatVec
from tests.campaign.campaigns import (
    binary_network,
    four_bit_network,
    generator,
    labelled,
    model_recipe,
    table_of,
)
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph
from tests.schedule.networks import searched_network


def drawn(graph, target, count, flips=1, **settings):
    model = Transient(target=target, count=count, flips=flips, **settings)
    return draw_faults(graph, model, rng=generator())


def by_hand(graph, x, fault):
    """The logits when every image has its own flip, one image and one node after the other."""
    rows = []
    for image in x:
        values = {graph.input: image[None].astype("int64")}
        for node in (None, *graph.nodes):
            name, edge = (graph.input, graph.input) if node is None else (node.name, node.output)
            if node is not None:
                values[edge] = node.op.evaluate(*(values[n] for n in node.inputs))
            if fault.node == name:
                kind = graph.type_of(edge)
                at = (0, *fault.index)
                code = int(kind.encode(values[edge][at].reshape(1))[0]) ^ (1 << fault.bit)
                values[edge] = values[edge].copy()
                values[edge][at] = kind.decode(np.array([code]))[0]
        rows.append(values[graph.logits][0])
    return np.array(rows)


@pytest.mark.parametrize("make", [binary_network, four_bit_network, searched_network])
@pytest.mark.parametrize("target", list(Target))
def test_every_bit_of_a_small_network_does_what_it_does_by_hand(make, target):
    graph = make([5, 4, 3, 3], signs=True)
    x, _ = labelled(graph, 6)
    faults = drawn(graph, target, "all")
    assert len(faults) == len(element_bits(graph, target))
    found = StruckModel(graph, x).struck(faults)
    for number, (fault,) in enumerate(faults):
        assert fault.kind is Kind.TRANSIENT
        assert fault.parameter == target
        np.testing.assert_array_equal(found.logits[number], by_hand(graph, x, fault))
    assert found.differs.any()
    assert not found.differs.all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 7]),
    st.sampled_from([Target(t) for t in Target]),
)
def test_transients_in_image_networks_equal_both_references(seed, flips, target):
    graph = random_image_graph(seed)
    x = random_inputs(graph, 3)
    flips = min(flips, len(element_bits(graph, target)))
    count = min(6, len(element_bits(graph, target)))
    faults = drawn(graph, target, count, flips).part(0, count)
    found = evaluate_faults(graph, x, tuple(faults))
    for number, strike in enumerate(faults):
        want = graph.evaluate_all(x, strike)
        np.testing.assert_array_equal(found.logits[number], want[graph.logits])
        struck = want[graph.input]
        if not graph.input_edge.type.contains(struck):  # products are exact in that range alone
            with pytest.raises(ValueError, match="input values must be integers within"):
                BatchedEngine(graph).run_all(x, strike)
            continue
        batched = BatchedEngine(graph).run_all(x, strike)
        for edge, values in want.items():
            np.testing.assert_array_equal(batched[edge], values)


def test_both_kinds_of_elements_may_be_struck_together():
    graph = four_bit_network([5, 4, 3, 3])
    x, _ = labelled(graph, 6)
    strike = tuple(
        Fault(node, parameter, (at,), bit, Kind.TRANSIENT)
        for node, parameter, at, bit in (
            ("x", "stream", 2, 1),
            ("fc0", "accumulator", 1, 3),
            ("fc0", "accumulator", 1, 5),
            ("act0", "stream", 1, 2),
            ("fc1", "accumulator", 0, 6),
            ("fc2", "accumulator", 2, 7),
        )
    )
    strikes = [strike[:k] for k in range(1, 7)] + [strike[k:] for k in range(6)]
    found = evaluate_faults(graph, x, strikes)
    for number, one in enumerate(strikes):
        np.testing.assert_array_equal(found.logits[number], reference(graph, x, one).logits)


def test_sites_are_every_element_that_something_computes_and_no_other():
    graph = random_image_graph(57)
    edges = graph.edges()
    bits = element_bits(graph)
    assert bits.blocks[0].node == graph.input
    makers = {n.name for n in graph.nodes if type(n.op).__name__ in
              ("MatVec", "Add", "SumPool", "Threshold", "MaxPool")}  # fmt: skip
    assert {block.node for block in bits.blocks[1:]} == makers
    for block in bits.blocks[1:]:
        edge = edges[graph.node(block.node).output]
        assert (block.shape, block.bits) == (edge.shape, edge.type.bits)
    parts = [element_bits(graph, target) for target in Target]
    assert sum(map(len, parts)) == len(bits)
    assert {b for part in parts for b in part.blocks} == set(bits.blocks)  # numbers stay


def test_single_draws_touch_every_bit_position_and_weigh_what_they_stand_for():
    graph = four_bit_network([8, 6, 4], signs=True)
    faults = drawn(graph, "accumulator", 60)
    bits = element_bits(graph, Target.ACCUMULATOR)
    assert faults.weight.sum() == pytest.approx(len(bits))
    seen = {(fault.node, fault.bit) for (fault,) in faults}
    assert seen == {(b.node, bit) for b in bits.blocks for bit in range(b.bits)}
    several = drawn(graph, "stream", 30, 3, nodes=("act0",))
    assert several.model == "transients"
    assert {fault.node for strike in several for fault in strike} == {"act0"}
    assert all(len(set(strike)) == 3 for strike in several)
    margin = draw_faults(graph, Transient(target="stream", margin=0.2), rng=generator())
    assert len(margin) >= 20


def test_lists_survive_the_disk_and_run_again(tmp_path):
    graph = four_bit_network([8, 6, 4], signs=True)
    data = labelled(graph, 8)
    for name, faults in (("one", Transient(target="stream", count=40)),
                         ("more", Transient(target="accumulator", count=30, flips=2))):  # fmt: skip
        recipe = model_recipe(graph, tmp_path / name, faults=faults)
        out = tmp_path / name / "out"
        record = run_campaign(recipe, data, out=out, cache=tmp_path)
        kept = load_faults(out / "faults.parquet", graph=graph)
        assert kept.transient
        assert kept.digest == record.fault_list_digest
        save_faults(kept, tmp_path / "again.parquet")
        assert load_faults(tmp_path / "again.parquet", graph=graph).digest == kept.digest
        again = model_recipe(
            graph, tmp_path / f"{name}2", faults=None, fault_list=out / "faults.parquet"
        )
        run_campaign(again, data, out=tmp_path / f"{name}2" / "out", cache=tmp_path)
        assert table_of(tmp_path / f"{name}2" / "out") == table_of(out)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "weights", "count": 4}, "Input should be 'accumulator' or 'stream'"),
        ({"target": "stream", "count": "all", "flips": 2}, "for single flips only"),
        ({"target": "stream", "count": 4, "flips": 2, "per_stratum": 3}, "is of single flips"),
        ({"target": "stream"}, "give either 'count' or 'margin'"),
        ({"target": "stream", "margin": 0.1, "sequential": True}, "'sequential' is of stored bits"),
    ],
)
def test_a_model_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Recipe(name="a", graph="g", data="d", images=1, seed=1, engines=["model"],
               faults={"model": "transient"} | settings)  # fmt: skip


def test_only_models_that_draw_a_bit_once_can_try_all():
    with pytest.raises(ValueError, match="'count' is \"all\" where single bits are struck"):
        Recipe(name="a", graph="g", data="d", images=1, seed=1, engines=["model"],
               faults={"model": "multiple", "flips": [2], "count": "all"})  # fmt: skip


def test_elements_that_are_not_there_are_refused_by_name():
    graph = four_bit_network([8, 6, 4])
    with pytest.raises(InputError, match="'act0' makes no accumulator; known are fc0, fc1"):
        drawn(graph, "accumulator", 4, nodes=("act0",))
    with pytest.raises(InputError, match="900 flips wanted, but 24 stream bits pass by"):
        drawn(graph, "stream", 4, 900, nodes=("act0",))
    transient = Fault("fc0", "accumulator", (0,), 0, Kind.TRANSIENT)
    mixed = FaultList.of(graph, [[transient]])
    with pytest.raises(InputError, match="transient and stored bits in one list"):
        FaultList.assemble(graph, model="listed", bits=mixed.bits, sizes=np.array([1, 1]),
                           position=np.array([0, 1]), kind=np.array([0, 3], np.uint8))  # fmt: skip
    with pytest.raises(IndexError, match=r"fc0.accumulator\[9\] bit 0: the accumulator is 6 of"):
        graph.evaluate_all(
            labelled(graph, 2)[0], [Fault("fc0", "accumulator", (9,), 0, Kind.TRANSIENT)]
        )
    with pytest.raises(KeyError, match="no node named 'fc9'"):
        graph.evaluate_all(labelled(graph, 2)[0], [Fault("fc9", "stream", (0,), 0, Kind.TRANSIENT)])


def test_a_node_named_as_the_input_is_refused():
    kind = IntType(4, signed=True)
    op = MatVec(np.ones((2, 3), dtype=np.int64), kind, IntType(9, signed=True))
    nodes = (Node("x", op, ("x",), "logits"), Node("argmax", ArgMax(), ("logits",), "class"))
    graph = Graph("same", "x", Edge((3,), IntType(4)), nodes, "class")
    with pytest.raises(InputError, match="node 'x': has the name of the input edge"):
        element_bits(graph)
