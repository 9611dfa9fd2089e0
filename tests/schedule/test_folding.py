from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.ir import Node
from flow.ops import ArgMax
from flow.schedule import (
    Folding,
    check_folding,
    choose_folding,
    dataflow,
    interval,
    make_plan,
)
from flow.schedule.folding import divisors, matvecs
from tests.schedule.networks import area, binary_network, four_bit_network, networks

NET = binary_network([8, 6, 4])


def all_foldings(graph):
    choices = [
        [Folding(p, s) for p, s in product(*map(divisors, op.weights.shape))]
        for op in matvecs(graph).values()
    ]
    for folds in product(*choices):
        folding = dict(zip(matvecs(graph), folds, strict=True))
        try:
            check_folding(graph, folding)
        except InputError:
            continue
        yield folding


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(1, 200))
def test_the_choice_is_legal_and_meets_the_target(graph, target):
    folding = choose_folding(graph, cycles=target)
    check_folding(graph, folding)
    assert interval(graph, folding) <= target


@pytest.mark.parametrize("target", [1, 2, 3, 5, 8, 13, 24, 48, 100])
@pytest.mark.parametrize("graph", [NET, four_bit_network([4, 6, 10])], ids=["binary", "four-bit"])
def test_no_legal_folding_that_meets_the_target_is_smaller(graph, target):
    legal = [f for f in all_foldings(graph) if interval(graph, f) <= target]
    assert area(graph, choose_folding(graph, cycles=target)) == min(area(graph, f) for f in legal)


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(1, 60))
def test_a_looser_target_never_costs_more(graph, target):
    loose = choose_folding(graph, cycles=target + 1)
    assert area(graph, loose) <= area(graph, choose_folding(graph, cycles=target))


def test_the_default_does_64_products_per_cycle_in_the_largest_layer():
    graph = binary_network([64, 64, 64, 10])
    folding = choose_folding(graph)
    assert [folding[n].pe * folding[n].simd for n in ("fc0", "fc1", "fc2")] == [64, 64, 16]
    assert interval(graph, folding) == 64


@pytest.mark.parametrize(
    ("folding", "message"),
    [
        (
            {"fc0": Folding(5, 2), "fc1": Folding(1, 1)},
            "node 'fc0': 6 rows cannot be folded by pe=5; choose one of 1, 2, 3, 6",
        ),
        (
            {"fc0": Folding(2, 3), "fc1": Folding(1, 1)},
            "node 'fc0': 8 columns cannot be folded by simd=3; choose one of 1, 2, 4, 8",
        ),
        (
            {"fc0": Folding(0, 2), "fc1": Folding(1, 1)},
            "node 'fc0': 6 rows cannot be folded by pe=0; choose one of 1, 2, 3, 6",
        ),
        (
            {"fc0": Folding(2, 2), "fc1": Folding(1, 3)},
            "node 'fc1': simd=3 where 'y0' comes on 2 lanes and one must divide the other; "
            "choose simd from 1, 2, 6",
        ),
        ({"fc0": Folding(2, 2)}, "node 'fc1': no folding; give pe and simd"),
        ({"act0": Folding(1, 1)}, "folding of 'act0': no such MatVec; the graph has fc0, fc1"),
    ],
)
def test_an_illegal_folding_is_refused_by_name(folding, message):
    with pytest.raises(InputError) as caught:
        make_plan(NET, folding=folding)
    assert str(caught.value) == message


def test_a_target_below_one_cycle_is_refused():
    with pytest.raises(InputError, match=r"^cycles=0: an image takes at least 1 cycle"):
        choose_folding(NET, cycles=0)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (replace(NET, nodes=NET.nodes[:-1], output="acc1"), "graph 'net': ends without ArgMax"),
        (
            replace(
                NET,
                nodes=(
                    *NET.nodes[:-1],
                    Node("again", ArgMax(), ("acc1",), "unread"),
                    NET.nodes[-1],
                ),
            ),
            "edge 'unread': nothing reads it",
        ),
    ],
)
def test_a_graph_the_hardware_cannot_have_is_refused(graph, message):
    with pytest.raises(InputError) as caught:
        dataflow(graph, dict.fromkeys(matvecs(graph), Folding(1, 1)))
    assert str(caught.value).startswith(message)
