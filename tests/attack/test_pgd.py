"""PGD and FGSM: points of the box on the integer grid, judged in the graph, ties included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.attack.gradient import gradients
from flow.attack.pgd import Descent, on_grid, pgd
from flow.certify import Box, Effort, Verdict, certify_complete, input_box
from flow.engine import BatchedEngine
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, Concat, MatVec, Pad, Reshape, SumPool, Transpose, Window
from tests.attack.networks import W1A1, W4A4, network, split
from tests.certify.networks import fitting_chains
from tests.engine.chains import BIPOLAR, random_inputs, random_labels
from tests.engine.images import image_graphs, random_image_graph

LAZY = Effort(corners=1, steps=0, moves=1, restarts=1)


@settings(max_examples=60, deadline=None)
@given(fitting_chains() | image_graphs(), st.integers(0, 3), st.booleans())
def test_every_point_is_an_input_of_the_box_and_breaks_its_label_iff_said(graph, radius, once):
    x = random_inputs(graph, 6)
    y = random_labels(graph, x)
    box = input_box(graph, x, radius=radius)
    points, broken = pgd(
        BatchedEngine(graph),
        x,
        box,
        y,
        rng=np.random.default_rng(0),
        descent=Descent.fgsm() if once else Descent(steps=5, restarts=3),
    )
    assert graph.input_edge.type.contains(points)
    assert ((box.lo <= points) & (points <= box.hi)).all()
    np.testing.assert_array_equal(graph.evaluate(points) != y, broken)


@settings(max_examples=25, deadline=None)
@given(fitting_chains())
def test_no_proved_image_is_broken(graph):
    x = random_inputs(graph, 6)
    y = graph.evaluate(x)
    found = certify_complete(graph, x, y=y, radius=2, effort=LAZY)
    proved = np.array([c.verdict is Verdict.PROVED for c in found.certificates])
    box = input_box(graph, x, radius=2)
    descent, rng = Descent(steps=8, restarts=3), np.random.default_rng(1)
    _, broken = pgd(BatchedEngine(graph), x, box, y, rng=rng, descent=descent)
    assert not (proved & broken).any()


@pytest.mark.parametrize("widths", [W1A1, W4A4], ids=["w1a1", "w4a4"])
def test_pgd_breaks_more_than_fgsm_and_that_more_than_random_corners(widths):
    graph = network(*widths, inputs=40)
    (x, y), _ = split(graph)
    box = input_box(graph, x, radius=2)
    engine, rng = BatchedEngine(graph), np.random.default_rng(0)
    corners = np.where(rng.random(x.shape) < 0.5, box.lo, box.hi)
    by_chance = (graph.evaluate(corners) != y).sum()
    _, once = pgd(engine, x, box, y, rng=rng, descent=Descent.fgsm())
    _, often = pgd(engine, x, box, y, rng=rng)
    assert by_chance < once.sum() < often.sum()


def test_masked_elements_and_own_ranges_are_kept():
    graph = network(*W4A4)
    (x, y), _ = split(graph)
    box = input_box(graph, x, radius=8)
    half = np.arange(x.shape[1]) % 2 == 0
    box = Box(np.where(half, x, box.lo), np.where(half, x, np.minimum(box.hi, x + 2)))
    points, broken = pgd(BatchedEngine(graph), x, box, y, rng=np.random.default_rng(0))
    assert broken.any()
    assert (points[:, half] == x[:, half]).all()
    assert (points <= x + 2).all()


def test_a_tie_counts_for_the_smaller_index():
    op = MatVec([[1], [1]], IntType(4, True), IntType(8, True))
    nodes = (Node("fc0", op, ("x",), "logits"), Node("argmax", ArgMax(), ("logits",), "class"))
    graph = Graph("two", "x", Edge((1,), IntType(3)), nodes, "class")
    x = np.array([[3], [3]])
    box = input_box(graph, x, radius=2)
    _, broken = pgd(BatchedEngine(graph), x, box, np.array([0, 1]), rng=np.random.default_rng(0))
    assert broken.tolist() == [False, True]


def test_the_grid_of_bipolar_inputs_has_no_zero():
    box = Box(np.array([[-1, -1, 1, -1]]), np.array([[1, 1, 1, -1]]))
    found = on_grid(np.array([[0.2, -0.2, 1.0, -1.0]]), box, bipolar=True)
    assert found.tolist() == [[1, -1, 1, -1]]
    assert BIPOLAR.contains(found)


def test_pgd_breaks_more_image_graphs_than_random_corners():
    """So its gradients find their way through windows, pools, pads and branches."""
    rng, found = np.random.default_rng(0), np.zeros(2, dtype=int)
    for seed in range(40):
        graph = random_image_graph(seed)
        x = random_inputs(graph, 20)
        y, box = graph.evaluate(x), input_box(graph, x, radius=2)
        corners = np.where(rng.random(x.shape) < 0.5, box.lo, box.hi)
        _, broken = pgd(BatchedEngine(graph), x, box, y, rng=rng, descent=Descent(10, 1))
        found += (graph.evaluate(corners) != y).sum(), broken.sum()
    assert found[1] > 1.3 * found[0], found


@pytest.mark.parametrize("seed", range(6))
def test_gradients_of_affine_image_graphs_are_exact(seed):
    """Where nothing steps and nothing wraps, one element more moves the lead by its gradient."""
    rng = np.random.default_rng(seed)
    wide, weights = IntType(40, True), rng.integers(-3, 4, (4, 18))
    nodes = (
        Node("pad", Pad((1, 1, 0, 1), 2), ("x",), "p"),
        Node("win", Window((3, 3), (2, 1)), ("p",), "w"),
        Node("conv", MatVec(weights[:, :9], IntType(3, True), wide, groups=2, positions=9),
             ("w",), "c"),
        Node("sum", SumPool((1, 2), (1, 1), wide), ("c",), "s"),
        Node("more", Add(rng.integers(-2, 3, (1, 4)), rng.integers(0, 9, 4), wide), ("s",), "m"),
        Node("both", Add(rng.integers(-2, 3, (2, 4)), [1], wide), ("s", "m"), "b"),
        Node("join", Concat(wide), ("b", "m"), "j"),
        Node("turn", Transpose((2, 0, 1)), ("j",), "t"),
        Node("flat", Reshape((8 * 2,)), ("t",), "f"),
        Node("fc", MatVec(rng.integers(-3, 4, (3, 16)), IntType(3, True), IntType(60, True)),
             ("f",), "y"),
        Node("argmax", ArgMax(), ("y",), "class"),
    )  # fmt: skip
    graph = Graph("affine", "x", Edge((4, 3, 2), IntType(4)), nodes, "class")
    x, lead = random_inputs(graph, 1, seed) // 2, rng.integers(-4, 5, (1, 3)).astype(float)
    edges = graph.evaluate_all(x)
    found = gradients(graph, edges, lead, {})[graph.input]
    for place in np.ndindex(*x.shape):
        more = x.copy()
        more[place] += 1
        moved = graph.evaluate_all(more)["y"] - edges["y"]
        assert found[place] == (lead * moved).sum()
