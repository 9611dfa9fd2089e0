"""Image networks on the streaming hardware: units, lanes, folding and FIFOs of whole graphs."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import (
    Add,
    ArgMax,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    Threshold,
    Transpose,
    Window,
)
from flow.schedule import (
    Folding,
    check_folding,
    choose_folding,
    dataflow,
    interval,
    make_plan,
    simulate_tokens,
)
from flow.schedule.folding import legal_foldings, matvecs
from tests.engine.images import random_image_graph
from tests.schedule.networks import area

U2, S3 = IntType(2), IntType(3, True)


def buildable(graph):
    """With the decoding and the compare form that RTL has, and without moved axes."""
    moved = {n.output: n.inputs[0] for n in graph.nodes if isinstance(n.op, Transpose)}

    def rewrite(node):
        op = node.op
        if isinstance(op, MatVec):
            op = replace(op, decode="plain")
        if isinstance(op, Threshold):
            op = replace(op, compare="count")
        return replace(node, op=op, inputs=tuple(moved.get(i, i) for i in node.inputs))

    kept = tuple(n for n in graph.nodes if not isinstance(n.op, Transpose))
    return replace(graph, nodes=kept).map(rewrite)


def buildable_graphs():
    """Hypothesis: image graphs that the hardware takes."""
    return st.integers(0, 2**32 - 1).map(lambda seed: buildable(random_image_graph(seed)))


def least_folding(graph, target):
    """At most ``target`` cycles, or the fewest there can be."""
    try:
        return choose_folding(graph, cycles=target)
    except InputError as error:
        return choose_folding(graph, cycles=int(str(error).split("needs ")[1].split()[0]))


@settings(max_examples=40, deadline=None)
@given(buildable_graphs(), st.integers(1, 400))
def test_every_plan_keeps_its_interval_with_fifos_that_hold_what_they_need(graph, target):
    plan = make_plan(graph, folding=least_folding(graph, target))
    timing = simulate_tokens(graph, plan.folding, plan.fifo_depth, images=16)
    steps = [after - before for before, after in pairwise(timing.taken)]
    assert set(steps[-4:]) == {interval(graph, plan.folding)}
    assert all(timing.high_water[name] <= depth for name, depth in plan.fifo_depth.items())


def convolution(channels=2, rows=2, groups=1, size=4):
    """A small image network: pad, window, product, threshold, flat classifier."""
    rng = np.random.default_rng(0)
    columns = 9 * channels // groups
    conv = MatVec(
        rng.integers(-4, 4, (rows, columns)), S3, IntType(10, True), groups=groups, positions=9
    )
    table = Threshold([[-2, 0, 3]] * rows, IntType(11, True), [1] * rows, 0, U2)
    flat = size * size * rows
    nodes = (
        Node("pad0", Pad((1, 1, 1, 1), 0), ("x",), "p"),
        Node("window0", Window((3, 3)), ("p",), "w"),
        Node("conv0", conv, ("w",), "a"),
        Node("act0", table, ("a",), "y"),
        Node("flat0", Reshape((flat,)), ("y",), "f"),
        Node("fc0", MatVec(rng.integers(-4, 4, (3, flat)), S3, IntType(12, True)), ("f",), "l"),
        Node("argmax", ArgMax(), ("l",), "class"),
    )
    return Graph("conv", "x", Edge((size, size, channels), U2), nodes, "class")


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("target", [40, 72, 100, 144, 300])
def test_no_legal_folding_of_an_image_network_is_smaller(groups, target):
    graph = convolution(groups=groups)
    choices = [product(*legal_foldings(op)) for op in matvecs(graph).values()]
    areas = []
    for pairs in product(*choices):
        folding = {n: Folding(*pair) for n, pair in zip(matvecs(graph), pairs, strict=True)}
        try:
            check_folding(graph, folding)
        except InputError:
            continue
        if interval(graph, folding) <= target:
            areas.append(area(graph, folding))
    if not areas:
        with pytest.raises(InputError, match=rf"^cycles={target}: graph 'conv' needs \d+ at least"):
            choose_folding(graph, cycles=target)
        return
    assert area(graph, choose_folding(graph, cycles=target)) == min(areas)


def test_a_target_out_of_reach_names_the_nearest_and_what_stands_in_the_way():
    graph = convolution()
    with pytest.raises(InputError) as caught:
        choose_folding(graph, cycles=2)
    assert str(caught.value) == (
        "cycles=2: graph 'conv' needs 144 at least, however parallel: 'window0' cannot take its "
        "image faster; ask for 144 or more"
    )
    assert interval(graph, choose_folding(graph, cycles=144)) == 144


def test_the_units_of_a_convolution_and_of_its_depthwise_form():
    graph = convolution()
    units = dataflow(graph, {"conv0": Folding(2, 6), "fc0": Folding(1, 1)}).units
    assert [u.module for u in units] == [
        "pad", "fifo", "window", "width", "fifo", "matvec", "threshold", "width", "fifo", "matvec",
        "argmax",
    ]  # fmt: skip
    deep = convolution(groups=2)
    units = dataflow(deep, {"conv0": Folding(2, 1), "fc0": Folding(1, 2)}).units
    assert [u.module for u in units] == [
        "pad", "fifo", "window", "depthwise", "threshold", "fifo", "matvec", "argmax",
    ]  # fmt: skip
    assert units[2].groups == 1


def test_an_edge_with_two_readers_is_forked_and_buffered():
    graph = convolution()
    twice = replace(
        graph,
        nodes=(
            *graph.nodes[:4],
            Node("sum0", Add([[1], [2]], [0], IntType(4)), ("y", "y"), "s"),
            *(replace(n, inputs=("s",)) if n.name == "flat0" else n for n in graph.nodes[4:]),
        ),
    )
    plan = make_plan(twice, cycles=200)
    assert [n for n in plan.fifo_depth if "_fork" in n] == ["act0_fork0_fifo", "act0_fork1_fifo"]


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (Transpose((1, 0, 2)), "no hardware unit reorders the axes of 4x4x2:u2; transpose in"),
        (Window((1, 1)), "the hardware has windows in front of one MatVec only; let one read it"),
    ],
)
def test_what_no_unit_computes_is_refused_by_name(op, message):
    graph = convolution()
    flat = replace(graph.nodes[4], inputs=("z",))
    nodes = (*graph.nodes[:4], Node("odd0", op, ("y",), "z"), flat, *graph.nodes[5:])
    with pytest.raises(InputError) as caught:
        make_plan(replace(graph, nodes=nodes))
    assert str(caught.value).startswith(f"node 'odd0': {message}")


def test_joins_of_three_streams_are_refused():
    graph = convolution()
    op = Concat(U2)
    nodes = (*graph.nodes[:4], Node("cat0", op, ("y", "y", "y"), "c"))
    rest = (
        Node("pool0", MaxPool((4, 4), (1, 1)), ("c",), "q"),
        Node("flat0", Reshape((6,)), ("q",), "f"),
        Node("fc0", MatVec(np.ones((3, 6), dtype=int), S3, IntType(12, True)), ("f",), "l"),
        graph.nodes[-1],
    )
    with pytest.raises(InputError, match=r"^node 'cat0': the hardware joins two streams at a time"):
        make_plan(replace(graph, nodes=(*nodes, *rest)))
