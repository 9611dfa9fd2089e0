"""The fastest folding that fits, against all foldings there are."""

from dataclasses import astuple
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Threshold
from flow.schedule import Folding, check_folding, choose_folding, interval
from flow.schedule.area import ECP5_85F
from flow.schedule.budget import _solved, fastest
from flow.schedule.cells import Resources
from flow.schedule.folding import foldings, legal_foldings, matvecs
from tests.schedule.networks import area, binary_network, four_bit_network, taken


def residual(seed=0):
    """A layer, a fork, two branches of which one is a layer, their sum, a classifier."""
    rng = np.random.default_rng(seed)
    kind, held, level = IntType(3, True), IntType(12, True), IntType(3)

    def layer(name, rows, columns, source):
        return Node(name, MatVec(rng.integers(-4, 4, (rows, columns)), kind, held), (source,), name)

    def act(name, source):
        table = Threshold([list(range(-3, 4))] * 4, IntType(13, True), [1] * 4, 0, level)
        return Node(name, table, (source,), name)

    nodes = (
        layer("fc0", 4, 4, "x"),
        act("act0", "fc0"),
        layer("fc1", 4, 4, "act0"),
        act("act1", "fc1"),
        Node("add0", Add([[1], [1]], [0], IntType(5, True)), ("act1", "act0"), "add0"),
        layer("fc2", 2, 4, "add0"),
        Node("argmax", ArgMax(), ("fc2",), "class"),
    )
    return Graph("residual", "x", Edge((4,), IntType(3)), nodes, "class")


GRAPHS = {
    "binary": binary_network([8, 6, 4]),
    "four-bit": four_bit_network([4, 6, 10]),
    "residual": residual(),
}


def every_folding(graph):
    """Each legal one, with its cycles and what it takes."""
    names = list(matvecs(graph))
    choices = [list(product(*legal_foldings(op))) for op in matvecs(graph).values()]
    for pairs in product(*choices):
        folding = {n: Folding(*pair) for n, pair in zip(names, pairs, strict=True)}
        try:
            check_folding(graph, folding)
        except InputError:
            continue
        yield folding, interval(graph, folding), taken(graph, folding)


ALL = {name: list(every_folding(graph)) for name, graph in GRAPHS.items()}


def fits(used, budget):
    return all(have <= limit for have, limit in zip(astuple(used), astuple(budget), strict=True))


@pytest.mark.parametrize("name", GRAPHS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_folding_that_fits_is_faster(name, data):
    """Budgets are drawn around what some folding takes, where the kinds are traded."""
    around = data.draw(st.sampled_from(ALL[name]))[2]
    given = [data.draw(st.integers(have * 9 // 10, have + 3)) for have in astuple(around)]
    budget = Resources(*given)
    cycles = [steps for _, steps, used in ALL[name] if fits(used, budget)]
    if not cycles:
        with pytest.raises(InputError, match="LFE5U-85F"):
            fastest(GRAPHS[name], ECP5_85F, budget)
        return
    found = fastest(GRAPHS[name], ECP5_85F, budget)
    assert interval(GRAPHS[name], found.folding) == min(cycles)
    assert taken(GRAPHS[name], found.folding) == found.total
    assert fits(found.total, budget)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(ALL["residual"]), st.integers(0, 40))
def test_the_exact_solver_finds_a_folding_whenever_there_is_one(one, less):
    graph, (_, cycles, around) = GRAPHS["residual"], one
    budget = Resources(around.lut - less, around.ff, around.bram, around.dsp)
    there = any(steps <= cycles and fits(used, budget) for _, steps, used in ALL["residual"])
    found = _solved(foldings(graph), cycles, astuple(budget))
    assert (found is not None) == there
    if found is not None:
        assert interval(graph, found.folding) <= cycles
        assert fits(taken(graph, found.folding), budget)


@pytest.mark.parametrize("target", [1, 2, 4, 7, 8, 16, 30])
def test_no_legal_folding_of_branches_is_smaller(target):
    graph = GRAPHS["residual"]
    areas = [area(graph, f) for f, cycles, _ in ALL["residual"] if cycles <= target]
    if not areas:
        with pytest.raises(InputError, match=f"^cycles={target}: graph 'residual' needs"):
            choose_folding(graph, cycles=target)
        return
    assert area(graph, choose_folding(graph, cycles=target)) == min(areas)


def test_a_device_too_small_is_refused_with_what_is_missing():
    graph = GRAPHS["binary"]
    least = min(used.lut for _, _, used in ALL["binary"])
    with pytest.raises(InputError) as caught:
        fastest(graph, ECP5_85F, Resources(lut=least - 7, ff=9999, bram=9, dsp=9))
    assert str(caught.value).startswith(
        f"graph 'net': LFE5U-85F leaves {least - 7} look-up tables and the smallest folding takes "
        f"{least}, 7 too many; 'fc0' takes most, "
    )


def test_a_device_that_has_each_kind_but_not_all_of_them_is_refused_with_what_is_missing():
    """Fewest look-up tables need block RAM, and no block RAM needs many of them."""
    graph = binary_network([64, 64, 10])
    space = foldings(graph)
    small, flat = (space.least_area(1 << 20, weights) for weights in ((1, 0, 0, 0), (0, 0, 1, 0)))
    budget = Resources(small.total.lut, ff=99999, bram=flat.total.bram, dsp=0)
    both = space.least_area(1 << 20, ECP5_85F.weights).total.lut

    with pytest.raises(InputError) as caught:
        fastest(graph, ECP5_85F, budget)

    assert str(caught.value).startswith(
        f"graph 'net': LFE5U-85F leaves {budget.lut} look-up tables and the folding of least area "
        f"takes {both}, {both - budget.lut} too many; 'fc"
    )
