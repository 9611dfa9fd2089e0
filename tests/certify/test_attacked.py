"""Every PROVED is attacked: corners, climbing, random points, and the flips of every attack."""

import numpy as np
import pytest

from flow.attack import CrossEntropy, best_flip, bfa
from flow.certify import Effort, Verdict, certify_input, input_box, propagate, single_flips
from flow.certify.witness import find_witnesses
from flow.engine import BatchedEngine
from tests.attack.networks import W1A1, W4A4, detector, network, split

WIDTHS = pytest.mark.parametrize("widths", [W1A1, W4A4], ids=["w1a1", "w4a4"])


@WIDTHS
@pytest.mark.parametrize("radius", [1, 2, 3])
def test_no_attack_inside_the_box_breaks_a_proved_image(widths, radius):
    graph, x, y = detector(*widths)
    found = certify_input(graph, x, y=y, radius=radius)
    proved = [k for k, c in enumerate(found.certificates) if c.verdict is Verdict.PROVED]
    assert proved
    box = input_box(graph, x[proved], radius=radius)
    _, broken = find_witnesses(
        BatchedEngine(graph),
        box,
        y[proved],
        rng=np.random.default_rng(1),
        effort=Effort(corners=100, steps=20, restarts=3),
    )
    assert not broken.any()


@WIDTHS
def test_activations_of_a_hundred_thousand_perturbations_lie_inside_their_boxes(widths):
    graph = network(*widths)
    (x, _), _ = split(graph)
    box = input_box(graph, x[:10], radius=3)
    boxes = propagate(graph, box)
    points = np.random.default_rng(2).integers(
        box.lo[:, None], box.hi[:, None] + 1, (10, 10_000, x.shape[1])
    )
    values = BatchedEngine(graph).run_all(points.reshape(-1, x.shape[1]))
    for name, bound in boxes.items():
        seen = values[name].reshape(10, 10_000, *bound.lo.shape[1:])
        assert (bound.lo[:, None] <= seen).all(), name
        assert (seen <= bound.hi[:, None]).all(), name


@WIDTHS
def test_an_undecided_image_is_often_refuted(widths):
    graph = network(*widths)
    (x, y), _ = split(graph)
    counts = certify_input(graph, x, y=y, radius=8).summary()
    assert counts["refuted"] > counts["total"] // 2


@WIDTHS
def test_no_attack_of_one_flip_breaks_a_certified_image(widths):
    graph = network(*widths)
    attack, (x, y) = split(graph)
    certified = single_flips(graph, x, y=y).certified
    assert certified.any()
    loss = CrossEntropy(4.0).each
    flips = [best_flip(graph, x, y, score=loss), best_flip(graph, *attack, score=loss)]
    flips += bfa(graph, *attack, budget=1, seed=0, evaluate_on=(x, y)).flips
    for flip in flips:
        wrong = graph.evaluate(x, [flip]) != y
        assert wrong.any()
        assert not (wrong & certified).any()
