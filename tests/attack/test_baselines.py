"""Random flips, and the exactly best flip compared with brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.attack import (
    CrossEntropy,
    Stop,
    best_flip,
    bfa,
    exhaustive_best_flip,
    random_flips,
)
from flow.certify import StoredBits, single_flips
from flow.errors import InputError
from tests.attack.networks import W1A1, W4A4, network, split
from tests.engine.chains import chains, random_inputs, random_labels


def images_lost(logits, y):
    return (logits.argmax(axis=1) != y).astype(np.float64)


def lead_lost(logits, y):
    return -(logits[np.arange(len(y)), y] * 2.0 - logits.sum(axis=1))


@settings(max_examples=30, deadline=None)
@given(chains(), st.sampled_from([images_lost, lead_lost]))
def test_no_single_flip_scores_higher_than_the_best_one(graph, score):
    x = random_inputs(graph, 20)
    y = random_labels(graph, x)

    def total(*faults):
        return score(graph.evaluate_all(x, faults)[graph.logits], y).sum()

    totals = [total(fault) for fault in StoredBits.of(graph)]
    rises = single_flips(graph, x, y=y, score=score).rises
    np.testing.assert_array_equal(rises, np.array(totals) - total())
    flip = best_flip(graph, x, y, score=score)
    if flip is None:
        assert max(totals) <= total()
    else:
        assert total(flip) == max(totals) > total()


def test_random_flips_are_different_bits_and_repeat_for_their_seed():
    graph = network(*W4A4)
    _, test = split(graph)
    runs = [random_flips(graph, budget=30, seed=s, evaluate_on=test) for s in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]
    assert len(set(runs[0].flips)) == len(runs[0].flips) == runs[0].hamming_distance
    for k, step in enumerate(runs[0].steps, start=1):
        struck = graph.evaluate(test[0], runs[0].flips[:k])
        assert step.accuracy == (struck == test[1]).mean()


def test_more_random_flips_than_bits_are_refused():
    graph = network(*W1A1)
    bits = len(StoredBits.of(graph))
    _, test = split(graph)
    with pytest.raises(InputError, match=f"the graph stores {bits} bits"):
        random_flips(graph, budget=bits + 1, seed=0, evaluate_on=test)


@pytest.mark.parametrize("label", [-1, 10])
def test_random_flips_are_judged_by_labels_that_are_classes(label):
    graph = network(*W1A1)
    _, (x, y) = split(graph)
    classes = graph.edge(graph.logits).elements
    wrong = np.where(np.arange(len(y)) == 1, label, y)
    with pytest.raises(InputError, match=f"each with a label from 0 to {classes - 1}"):
        random_flips(graph, budget=1, seed=0, evaluate_on=(x, wrong))


@pytest.mark.parametrize("widths", [W1A1, W4A4], ids=["w1a1", "w4a4"])
def test_searching_attacks_beat_random_flips(widths):
    graph = network(*widths)
    attack, test = split(graph)
    done = []
    greedy = exhaustive_best_flip(
        graph, *attack, budget=6, seed=0, evaluate_on=test, progress=lambda *s: done.append(s)
    )
    searched = bfa(graph, *attack, budget=6, seed=0, evaluate_on=test)
    drawn = random_flips(graph, budget=6, seed=0, evaluate_on=test)
    assert greedy.accuracy < drawn.accuracy
    assert searched.accuracy < drawn.accuracy
    assert done[-1] == (len(greedy.flips), 6)


def test_a_record_names_every_flip_in_words():
    graph = network(*W1A1)
    _, test = split(graph)
    result = random_flips(graph, budget=2, seed=0, evaluate_on=test)
    record = result.record()
    assert [s["flips"][0] for s in record["steps"]] == [str(flip) for flip in result.flips]
    assert record["stop"] == Stop.BUDGET.value


def test_no_flip_is_made_where_none_raises_the_score():
    graph = network(*W1A1)
    (x, y), _ = split(graph)
    assert best_flip(graph, x, y, score=lambda logits, y: np.zeros(len(y))) is None


def test_cross_entropy_of_each_image_averages_to_the_loss():
    logits, y = np.array([[4, 0], [0, 0], [-2, 6]]), np.array([0, 1, 0])
    loss = CrossEntropy(2.0)
    each = loss.each(logits, y)
    assert each[1] == np.log(2)
    assert float(loss(torch.from_numpy(logits).double(), torch.from_numpy(y))) == each.mean()
