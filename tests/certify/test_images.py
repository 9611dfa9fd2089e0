"""Bounds of image graphs, branches and pools against every input of boxes in which few move."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    Effort,
    Verdict,
    certify_complete,
    certify_input,
    certify_linear,
    check,
    propagate,
    save_certificates,
)
from flow.certify.ascent import ascend, chords
from flow.certify.branch import in_order
from flow.certify.dual import question
from flow.certify.plain_proof import proof_holds
from flow.certify.proof import Leaf, RivalProof
from flow.certify.relaxed import Region, Relaxed, reach
from tests.certify.moving import few_move, points_of
from tests.engine.chains import random_inputs, random_labels
from tests.engine.images import image_graphs, random_image_graph

LAZY = Effort(corners=1, steps=0, moves=1, restarts=1)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(image_graphs(), SEEDS, st.integers(0, 2))
def test_every_activation_of_an_image_graph_lies_inside_its_box(graph, seed, radius):
    x = random_inputs(graph, 1, seed % 1000)
    box = few_move(graph, x, seed).box(graph, x, radius=radius)
    boxes = propagate(graph, box)
    values = graph.evaluate_all(points_of(graph, box))
    for name, found in boxes.items():
        assert (found.lo[0] <= values[name]).all(), name
        assert (values[name] <= found.hi[0]).all(), name


@settings(max_examples=60, deadline=None)
@given(image_graphs(), SEEDS, st.integers(1, 2))
def test_verdicts_of_image_graphs_are_those_of_all_inputs(tmp_path_factory, graph, seed, radius):
    path = tmp_path_factory.mktemp("c") / "c.json"
    x = random_inputs(graph, 3, seed % 1000)
    y = random_labels(graph, x)
    ranges = few_move(graph, x, seed, most=100)
    boxes = ranges.box(graph, x, radius=radius)
    robust = [
        bool((graph.evaluate(points_of(graph, boxes[[k]])) == y[k]).all()) for k in range(len(x))
    ]
    for certify in (certify_input, certify_linear, certify_complete):
        found = certify(graph, x, y=y, radius=radius, ranges=ranges, effort=LAZY)
        for certificate, holds in zip(found.certificates, robust, strict=True):
            assert certificate.verdict is not (Verdict.REFUTED if holds else Verdict.PROVED)
            assert certify is not certify_complete or certificate.verdict is not Verdict.UNKNOWN
        save_certificates(found, path)
        assert check(path, graph, x, y).boxes == found.proved


@settings(max_examples=150, deadline=None)
@given(image_graphs(), SEEDS, st.integers(0, 2))
def test_a_rival_dismissed_in_an_image_graph_beats_the_label_nowhere(graph, seed, radius):
    x = random_inputs(graph, 1, seed % 1000)
    box = few_move(graph, x, seed).box(graph, x, radius=radius)
    logits = graph.evaluate_all(points_of(graph, box))[graph.logits]
    relaxed = Relaxed.of(graph)
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    labels, rivals = np.array(pairs).T
    found = reach(relaxed, Region(box, {}))[np.zeros(len(pairs), dtype=int)]
    ask = question(relaxed, found, labels, rivals)
    bound = ascend(ask, chords(ask), steps=int(seed % 8) + 1)
    lead = logits[:, rivals] - logits[:, labels]
    beats = (lead >= np.where(rivals < labels, 0, 1)).any(axis=0)
    assert not (bound.decided & beats).any()
    for label in range(3):
        proof = tuple(
            RivalProof(
                int(rivals[k]),
                (Leaf(tuple(tuple(m[k].ravel().tolist()) for m in in_order(relaxed, bound))),),
            )
            for k in np.flatnonzero(labels == label)
        )
        accepted = proof_holds(graph, (box.lo, box.hi), label, proof)
        assert accepted == bound.decided[labels == label].all()
        assert not accepted or not beats[labels == label].any()


def test_linear_bounds_and_splits_prove_more_image_graphs_than_intervals():
    counts = np.zeros(3, dtype=int)
    for seed in range(40):
        graph = random_image_graph(seed)
        x = random_inputs(graph, 3)
        y, ranges = graph.evaluate(x), few_move(graph, x, seed, most=100)
        methods = (certify_input, certify_linear, certify_complete)
        own = {"radius": 2, "ranges": ranges, "effort": LAZY}
        counts += [m(graph, x, y=y, **own).proved for m in methods]
    assert counts[0] < counts[1] < counts[2], counts
