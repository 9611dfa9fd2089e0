"""Zonotopes: every input of the box inside every form, checked again without rounding."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    Verdict,
    certify_input,
    certify_linear,
    certify_zonotope,
    check,
    save_certificates,
)
from flow.certify.box import Box, input_box
from flow.certify.ladder import Ladder
from flow.certify.plain_zonotope import reached
from flow.certify.relaxed import Relaxed
from flow.certify.zonotope import GRID, Forms, staircase
from flow.certify.zonotope_bound import withstands, zonotope
from flow.errors import ClaimError, InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.certify.moving import few_move, points_of
from tests.certify.networks import fitting_chains
from tests.certify.test_weights import classifier
from tests.engine.chains import chains, random_inputs
from tests.engine.images import image_graphs

GRAPHS = st.one_of(chains(), fitting_chains(), image_graphs())


def inside(form, values, rng):
    """Whether every row of ``values`` fulfils what the form says of random sums of elements."""
    flat, rows = values.reshape(len(values), -1), values[0].size
    gains = form.gains.reshape(len(form.gains), rows)
    for scale in (1, 1, 3):
        sums = rng.integers(-scale, scale + 1, rows)
        reach = np.abs(gains @ sums).sum() + np.abs(sums) @ form.rest.ravel()
        middle = sums @ form.centre.ravel()
        if (np.abs(flat @ sums - middle) > reach).any():
            return False
    return True


@settings(max_examples=120, deadline=None)
@given(GRAPHS, st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 2048]))
def test_every_input_lies_in_every_form_however_few_its_symbols(graph, seed, most):
    graph, rng = classifier(graph), np.random.default_rng(seed)
    if graph is None:
        return
    x = random_inputs(graph, 1, seed)
    box = few_move(graph, x, seed, most=300).box(graph, x, radius=1 + seed % 2)
    relaxed, points = Relaxed.of(graph), points_of(graph, box)
    found, values = zonotope(relaxed, box, most=most), graph.evaluate_all(points)
    for name, one in found.boxes.items():
        assert (one.lo <= values[name]).all(), name
        assert (values[name] <= one.hi).all(), name
    assert inside(found.end, values[relaxed.end], rng)
    assert len(found.end.names) <= most
    label = int(graph.evaluate(x)[0])
    if withstands(relaxed, found, label):
        assert (values[graph.output] == label).all()
    slopes = {name: own.ravel().tolist() for name, own in found.slopes.items()}
    plain = reached(graph, (box.lo, box.hi), slopes)
    for name, limits in plain.limits.items():
        seen = values[graph.node(name).inputs[0]].reshape(len(points), -1)
        for k, (low, high) in limits.items():
            assert low <= seen[:, k].min()
            assert seen[:, k].max() <= high


@settings(max_examples=60, deadline=None)
@given(fitting_chains(), st.integers(0, 2**32 - 1))
def test_what_is_certified_survives_every_input_and_is_accepted(tmp_path_factory, graph, seed):
    x = random_inputs(graph, 3, seed)
    y, radius = graph.evaluate(x), 1 + seed % 2
    ranges = few_move(graph, x, seed, most=300)
    box = ranges.box(graph, x, radius=radius)
    found = certify_zonotope(graph, x, y=y, radius=radius, ranges=ranges)
    for k, certificate in enumerate(found.certificates):
        if certificate.verdict is Verdict.PROVED:
            assert (graph.evaluate(points_of(graph, box[[k]])) == y[k]).all()
    path = tmp_path_factory.mktemp("z") / "c.json"
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved


@settings(max_examples=40, deadline=None)
@given(image_graphs() | chains(), st.integers(0, 99))
def test_what_is_certified_of_any_graph_is_accepted(tmp_path_factory, graph, seed):
    graph = classifier(graph)
    if graph is None:
        return
    x = random_inputs(graph, 2, seed)
    y, path = graph.evaluate(x), tmp_path_factory.mktemp("z") / "c.json"
    found = certify_zonotope(graph, x, y=y, radius=1)
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved


def deep(seed):
    """Four dense layers of four-level staircases whose sums cancel."""
    rng = np.random.default_rng(seed)
    nodes, source, wide, columns = [], "x", IntType(14, True), 6
    for k, rows in enumerate((8, 8, 8, 3)):
        weights = rng.integers(-3, 4, (rows, columns))
        nodes.append(Node(f"fc{k}", MatVec(weights, IntType(3, True), wide), (source,), f"a{k}"))
        source, columns = f"a{k}", rows
        if k < 3:
            table = np.sort(rng.integers(-60, 61, (rows, 15)), axis=1)
            act = Threshold(table, wide, np.ones(rows, dtype=int), 0, IntType(4))
            nodes.append(Node(f"act{k}", act, (source,), f"y{k}"))
            source = f"y{k}"
    nodes.append(Node("argmax", ArgMax(), (source,), "class"))
    return Graph("deep", "x", Edge((6,), IntType(5)), tuple(nodes), "class")


def decided_by_zonotopes_alone():
    """A graph, images and certificates, one of them PROVED where linear bounds leave it open."""
    for seed in range(40):
        graph = deep(seed)
        x = random_inputs(graph, 12, seed)
        y = graph.evaluate(x)
        found = certify_zonotope(graph, x, y=y, radius=1)
        linear = certify_linear(graph, x, y=y, radius=1)
        assert found.proved >= certify_input(graph, x, y=y, radius=1).proved
        pairs = zip(found.certificates, linear.certificates, strict=True)
        more = [
            k
            for k, (a, b) in enumerate(pairs)
            if a.verdict is Verdict.PROVED is not b.verdict and a.proof is not None
        ]
        if more:
            return graph, x, y, found, more[0]
    raise AssertionError("nothing is gained")


def test_zonotopes_decide_what_linear_bounds_leave_open_and_forged_slopes_are_rejected(tmp_path):
    graph, x, y, found, image = decided_by_zonotopes_alone()
    path = tmp_path / "c.json"
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved
    sound = found.certificates[image]
    slopes = sound.detail["slopes"]
    first = next(iter(slopes))
    others = [
        replace(sound, detail={}),
        replace(sound, proof=None),
        replace(sound, detail={"slopes": {}}),
        replace(sound, detail={"slopes": {**slopes, first: slopes[first][:-1]}}),
        replace(sound, detail={"slopes": {**slopes, first: [1.5] * len(slopes[first])}}),
        replace(sound, detail={"slopes": {**slopes, first: [5000] * len(slopes[first])}}),
        replace(sound, detail={"slopes": [1]}),
        replace(sound, proof=sound.proof[:-1]),
    ]
    for forged in others:
        changed = list(found.certificates)
        changed[image] = forged
        save_certificates(replace(found, certificates=tuple(changed)), path)
        with pytest.raises(ClaimError, match="its box leaves another class open"):
            check(path, graph, x, y)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_a_staircase_lies_within_its_line_and_the_new_symbol(seed):
    rng, unit = np.random.default_rng(seed), 2.0 ** (1 - GRID)
    table = np.sort(rng.integers(-6, 7, (1, 3)), axis=1)
    op = Threshold(table, IntType(5, True), np.array([1]), 0, IntType(2))
    gains = rng.integers(-4096, 4097, (2, 1)) * unit
    signs = rng.integers(-8, 9, 2) / 8
    a = int(rng.integers(-6, 7))  # what the form is where its symbols are so
    form = Forms(a - signs @ gains, gains, np.array([0, 1]), np.zeros(1))
    low, high = rng.integers(0, 2, 2)
    box = Box(np.array([[a - low]]), np.array([[a + high]]))
    found = staircase(Ladder.of(op), form, box, rng.integers(-200, 200, 1), 7)
    assert set(found.names) <= {0, 1, 7}
    new = np.abs(found.gains[2:, 0]).sum()
    middle = found.centre[0] + signs @ found.gains[:2, 0]
    assert abs(int(op.evaluate(np.array([[a]]))[0, 0]) - middle) <= new


def test_symbols_beyond_the_limit_join_the_remainders():
    gains = np.array([[4.0, 0.0], [1.0, 1.0], [0.0, 3.0], [-1.0, 1.0]])
    form = Forms(np.zeros(2), gains, np.array([0, 5, 7, 8]), np.array([0.5, 0.0]))
    fewer = form.fewer(2)
    assert fewer.names.tolist() == [0, 7]
    assert fewer.rest.tolist() == [2.5, 2.0]
    assert fewer.reach().tolist() == form.reach().tolist()
    assert form.fewer(4) is form
    assert (form.box().lo.tolist(), form.box().hi.tolist()) == ([[-6, -5]], [[6, 5]])


def test_forms_too_large_to_be_exact_are_refused():
    wide = IntType(60, True)
    product = MatVec(np.array([[1 << 30], [1]]), IntType(32, True), wide)
    nodes = (Node("fc", product, ("x",), "a"), Node("argmax", ArgMax(), ("a",), "class"))
    graph = Graph("big", "x", Edge((1,), IntType(12)), nodes, "class")
    box = input_box(graph, np.array([[4000]]), radius=1)
    with pytest.raises(InputError, match=rf"node 'fc': forms are exact below {1 << (50 - GRID)}"):
        zonotope(Relaxed.of(graph), box)


def test_a_tie_is_lost_to_a_smaller_class_and_won_against_a_larger_one():
    equal = MatVec(np.array([[1], [1]]), IntType(2, True), IntType(6, True))
    nodes = (Node("fc", equal, ("x",), "a"), Node("argmax", ArgMax(), ("a",), "class"))
    graph = Graph("tie", "x", Edge((1,), IntType(4)), nodes, "class")
    box = input_box(graph, np.array([[4]]), radius=1)
    found = reached(graph, (box.lo, box.hi), {})  # the intervals of the logits overlap
    assert found.behind(graph, 0, 1)
    assert not found.behind(graph, 1, 0)
