"""Linear bounds and branch and bound against every integer input, with zero tolerance."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    Budget,
    Effort,
    Verdict,
    certify_complete,
    certify_input,
    certify_linear,
    check,
    input_box,
    save_certificates,
)
from flow.certify.ascent import ascend, chords
from flow.certify.box import Box
from flow.certify.branch import in_order
from flow.certify.dual import question
from flow.certify.ladder import Ladder
from flow.certify.plain_bounds import near
from flow.certify.plain_proof import proof_holds
from flow.certify.proof import Leaf, RivalProof
from flow.certify.relaxed import Region, Relaxed, reach
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.certify.networks import fitting_chain, fitting_chains
from tests.certify.test_box import every_input
from tests.engine.chains import chains, random_chain, random_inputs, random_labels

LAZY = Effort(corners=1, steps=0, moves=1, restarts=1)  # leave the work to the bounds


def robust(graph, x, y, radius):
    return [
        bool((graph.evaluate(every_input(graph, image, radius)) == label).all())
        for image, label in zip(x, y, strict=True)
    ]


ANY = chains() | fitting_chains()


@settings(max_examples=60, deadline=None)
@given(ANY, st.integers(0, 3))
def test_given_time_every_image_is_decided_as_all_inputs_of_its_box_are(graph, radius):
    x = random_inputs(graph, 4)
    y = random_labels(graph, x)
    found = certify_complete(graph, x, y=y, radius=radius, effort=LAZY, budget=Budget(600))
    verdicts = [c.verdict for c in found.certificates]
    truth = [Verdict.PROVED if r else Verdict.REFUTED for r in robust(graph, x, y, radius)]
    assert verdicts == truth
    for image, certificate in zip(x, found.certificates, strict=True):
        if certificate.verdict is Verdict.REFUTED:
            point = np.array([certificate.witness])
            assert (every_input(graph, image, radius) == point).all(axis=1).any()
            assert graph.evaluate(point)[0] != certificate.label


@settings(max_examples=50, deadline=None)
@given(ANY, st.integers(1, 3))
def test_what_one_linear_bound_proves_holds_for_all_inputs(graph, radius):
    x = random_inputs(graph, 4)
    y = random_labels(graph, x)
    found = certify_linear(graph, x, y=y, radius=radius, effort=LAZY)
    for certificate, holds in zip(found.certificates, robust(graph, x, y, radius), strict=True):
        assert certificate.verdict is not (Verdict.REFUTED if holds else Verdict.PROVED)


@settings(max_examples=30, deadline=None)
@given(ANY, st.integers(1, 3))
def test_the_independent_checker_accepts_every_proof(tmp_path_factory, graph, radius):
    path = tmp_path_factory.mktemp("c") / "c.json"
    x = random_inputs(graph, 4)
    y = random_labels(graph, x)
    for certify in (certify_linear, certify_complete):
        found = certify(graph, x, y=y, radius=radius, effort=LAZY)
        save_certificates(found, path)
        assert check(path, graph, x, y).boxes == found.proved


WEIGHTS = st.sampled_from([(1, 1), (1, 0), (0, 1), (3, 2)])


@settings(max_examples=200, deadline=None)
@given(fitting_chains(), st.integers(0, 2), WEIGHTS)
def test_a_rival_that_a_bound_dismisses_beats_the_label_nowhere(graph, radius, weights):
    """For every pair of classes, whichever of them the image has."""
    (image,) = random_inputs(graph, 1)
    labels, rivals, beats = all_pairs(graph, image, radius)
    _, bound = bounded(graph, image, radius, labels, rivals, weights)
    assert not (bound.decided & beats).any()


@settings(max_examples=250, deadline=None)
@given(ANY, st.integers(0, 2), WEIGHTS)
def test_a_leaf_that_the_checker_accepts_is_true_whatever_the_label(graph, radius, weights):
    (image,) = random_inputs(graph, 1)
    labels, rivals, beats = all_pairs(graph, image, radius)
    ask, bound = bounded(graph, image, radius, labels, rivals, weights)
    for label in np.unique(labels):
        for leaf in ("intervals", "bound"):
            proof, holds = [], True
            for k in np.flatnonzero(labels == label):
                own = tuple(tuple(m[k].ravel().tolist()) for m in in_order(ask.relaxed, bound))
                step = Leaf() if leaf == "intervals" else Leaf(own, weights)
                proof.append(RivalProof(int(rivals[k]), (step,)))
                holds &= not beats[k]
            if proof_holds(graph, near(graph, image, radius), int(label), tuple(proof)):
                assert holds


def all_pairs(graph, image, radius):
    """Labels and rivals, every pair of classes, and whether the rival wins anywhere."""
    logits = graph.evaluate_all(every_input(graph, image, radius))[graph.logits]
    labels, rivals = np.array(list(permutations(range(logits.shape[1]), 2))).T
    lead = logits[:, rivals] - logits[:, labels]
    return labels, rivals, (lead >= np.where(rivals < labels, 0, 1)).any(axis=0)


def test_sums_that_are_logits_have_no_weights():
    graph = next(g for g in map(fitting_chain, range(50)) if Relaxed.of(g).last is None)
    (image,) = random_inputs(graph, 1)
    relaxed = Relaxed.of(graph)
    found = reach(relaxed, Region(input_box(graph, image[None], radius=1), {}))
    with pytest.raises(ValueError, match="compared as they are"):
        question(relaxed, found, np.array([0]), np.array([1]), np.array([[1, 0]]))
    other = Leaf(tuple((0,) * node.op.sign.size for node in relaxed.thresholds), (0, 0))
    classes = relaxed.edges[relaxed.end].shape[0]
    proof = tuple(RivalProof(rival, (other,)) for rival in range(1, classes))
    assert not proof_holds(graph, near(graph, image, 0), 0, proof)


def test_quantized_logits_are_dismissed_level_by_level():
    """Both classes saturate: the label wins the tie, though the rival may lead in sums."""
    stairs = Threshold(np.tile(np.arange(1, 4), (2, 1)), IntType(9), [1, 1], 0, IntType(2))
    nodes = (
        Node("fc", MatVec([[1, 0], [0, 1]], IntType(2, True), IntType(9)), ("x",), "a"),
        Node("act", stairs, ("a",), "l"),
        Node("argmax", ArgMax(), ("l",), "class"),
    )
    graph = Graph("two", "x", Edge((2,), IntType(8)), nodes, "class")
    x = np.array([[5, 250]])
    assert certify_linear(graph, x, y=np.array([0]), radius=2).proved == 1
    assert certify_complete(graph, x, y=np.array([0]), radius=3).summary()["refuted"] == 1


def bounded(graph, image, radius, labels, rivals, weights=(1, 1)):
    relaxed = Relaxed.of(graph)
    found = reach(relaxed, Region(input_box(graph, image[None], radius=radius), {}))
    region = found[np.zeros(len(labels), dtype=int)]
    if relaxed.last is None:
        weights = (1, 1)
    ask = question(relaxed, region, labels, rivals, np.tile(np.array(weights), (len(labels), 1)))
    return ask, ascend(ask, chords(ask), steps=20)


def test_linear_bounds_and_splits_prove_more_than_intervals():
    counts = np.zeros(3, dtype=int)
    for seed in range(20):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        methods = (certify_input, certify_linear, certify_complete)
        counts += [m(graph, x, y=y, radius=1, effort=LAZY).proved for m in methods]
    assert counts[0] < counts[1] < counts[2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_ladder_is_its_staircase(seed):
    graph = random_chain(seed)
    rng = np.random.default_rng(seed)
    for node in graph.nodes:
        if not hasattr(node.op, "thresholds"):
            continue
        kind, channels = graph.type_of(node.inputs[0]), node.op.sign.size
        x = rng.integers(kind.code_lo, kind.code_hi + 1, (20, channels))
        ladder = Ladder.of(node.op)
        np.testing.assert_array_equal(ladder.levels(x), node.op.evaluate(x))
        low = np.sort(rng.integers(kind.code_lo, kind.code_hi + 1, (2, 1, channels)), axis=0)
        gain, cost = rng.integers(-9, 10, (2, 1, channels))
        best, at, level = ladder.highest(gain, cost, Box(*low))
        for c in range(channels):
            values = np.arange(low[0, 0, c], low[1, 0, c] + 1)
            points = np.zeros((len(values), channels), dtype=int)
            points[:, c] = values
            worth = gain[0, c] * node.op.evaluate(points)[:, c] - cost[0, c] * values
            assert best[0, c] == worth.max()
            assert best[0, c] == gain[0, c] * level[0, c] - cost[0, c] * at[0, c]
