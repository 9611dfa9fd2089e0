"""Branches that join again: where the token model deadlocks the RTL does, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from flow.build import build
from flow.build.manifest import load_build
from flow.errors import ClaimError
from flow.ingest import lower
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Pad, Reshape, Threshold, Window
from flow.schedule import Folding, make_plan, simulate_tokens
from models import frozen
from sim._session import Session

pytestmark = pytest.mark.rtl

SIDE, CHANNELS = 5, 2
FOLDING = {"conv0": Folding(2, 2), "fc0": Folding(1, 1)}
SKIP = "input_fork1_fifo"  # of the branch around the convolution


def residual():
    """The image, a convolution of it, and their sum."""
    rng = np.random.default_rng(3)
    kind, level = IntType(3, True), IntType(2)
    flat = SIDE * SIDE * CHANNELS
    conv = MatVec(
        rng.integers(-4, 4, (CHANNELS, 9 * CHANNELS)), kind, IntType(10, True), positions=9
    )
    table = Threshold([[-2, 0, 3]] * CHANNELS, IntType(11, True), [1] * CHANNELS, 0, level)
    classes = MatVec(rng.integers(-4, 4, (3, flat)), kind, IntType(13, True))
    nodes = (
        Node("pad0", Pad((1, 1, 1, 1), 0), ("x",), "p"),
        Node("window0", Window((3, 3)), ("p",), "w"),
        Node("conv0", conv, ("w",), "a"),
        Node("act0", table, ("a",), "y"),
        Node("add0", Add([[1], [1]], [0], IntType(4, True)), ("y", "x"), "s"),
        Node("flat0", Reshape((flat,)), ("s",), "f"),
        Node("fc0", classes, ("f",), "l"),
        Node("argmax", ArgMax(), ("l",), "class"),
    )
    return Graph("residual", "x", Edge((SIDE, SIDE, CHANNELS), level), nodes, "class")


GRAPH = residual()
PLAN = make_plan(GRAPH, folding=FOLDING)


def with_skip(depth):
    return replace(PLAN, fifo_depth={**PLAN.fifo_depth, SKIP: depth})


def tokens_deadlock(plan):
    try:
        simulate_tokens(GRAPH, plan.folding, plan.fifo_depth, images=3)
    except ClaimError as error:
        return str(error).endswith("deadlock")
    return False


@pytest.fixture(scope="module")
def least():
    """The shallowest skip FIFO with which the token model comes to an end."""
    return next(d for d in range(1, PLAN.fifo_depth[SKIP] + 1) if not tokens_deadlock(with_skip(d)))


def rtl(plan, directory, monkeypatch, *, simulator, compiled, **stalls):
    """The run of 3 random images, and the graph's answers."""
    monkeypatch.setattr("flow.build.generate.report", lambda *given: {})  # it counts tokens too
    build(GRAPH, plan, directory)
    x = np.random.default_rng(1).integers(0, 4, (3, SIDE, SIDE, CHANNELS))
    found = Session(load_build(directory), x, compiled, simulator).run([[]], **stalls)
    return found, GRAPH.evaluate_all(x)[GRAPH.logits]


def test_a_skip_shallower_than_the_other_branch_is_long_deadlocks_the_token_model(least):
    assert 1 < least <= PLAN.fifo_depth[SKIP]
    assert all(tokens_deadlock(with_skip(depth)) for depth in range(1, least))
    assert not any(
        tokens_deadlock(with_skip(depth)) for depth in range(least, PLAN.fifo_depth[SKIP] + 2)
    )


@pytest.mark.parametrize("stalls", [{}, {"offer": 90, "accept": 120}], ids=["steady", "stalled"])
def test_rtl_deadlocks_where_the_token_model_does(
    least, stalls, tmp_path, monkeypatch, simulator, compiled
):
    given = {"simulator": simulator, "compiled": compiled, **stalls}
    stuck, _ = rtl(with_skip(least - 1), tmp_path / "stuck", monkeypatch, **given)
    assert stuck.hung.all()
    ends, logits = rtl(with_skip(least), tmp_path / "ends", monkeypatch, **given)
    assert not ends.hung.any()
    np.testing.assert_array_equal(ends.logits[0], logits)


@pytest.mark.parametrize("stalls", [{}, {"offer": 90, "accept": 120}], ids=["steady", "stalled"])
def test_resnet_8_holds_no_more_words_than_planned(stalls, tmp_path, simulator, compiled):
    """Unstalled, each FIFO of the RTL has the high water of the token model, to the word."""
    entry = next(entry for entry in frozen.entries() if entry.name == "resnet-8-w4a4")
    graph = lower(entry.path).graph
    plan = make_plan(graph)
    build(graph, plan, tmp_path / "build")
    kind = graph.input_edge.type
    x = np.random.default_rng(7).integers(kind.lo, kind.hi + 1, (3, *graph.input_edge.shape))
    found = Session(load_build(tmp_path / "build"), x, compiled, simulator).run([[]], **stalls)
    assert not found.hung.any()
    high = {name.removeprefix("u_"): words for name, words in found.summary["high_water"].items()}
    assert set(high) == set(plan.fifo_depth)
    assert all(words <= plan.fifo_depth[name] for name, words in high.items())
    if not stalls:
        timing = simulate_tokens(graph, plan.folding, plan.fifo_depth, images=3)
        assert high == dict(timing.high_water)
    np.testing.assert_array_equal(found.logits[0], graph.evaluate_all(x)[graph.logits])
