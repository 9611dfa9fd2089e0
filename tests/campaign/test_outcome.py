"""The classes of pairs, on every combination of label, clean and faulty class."""

import itertools

import numpy as np
from hypothesis import given, settings

from flow.campaign import Answers, classify
from flow.campaign.model import evaluate_faults, reference
from flow.certify.flips import Effect, single_flips
from tests.engine.chains import chains, random_inputs, random_labels


def test_every_combination_of_label_clean_and_faulty_class_is_named():
    names = {}
    for label, was, now in itertools.product(range(3), repeat=3):
        clean = Answers(np.array([[was, 9]]), np.array([was]))
        faulty = Answers(np.array([[[now, 9]]]), np.array([[now]]))
        outcome, direction = classify(clean, faulty, np.array([label]))
        names[label, was, now] = (outcome[0, 0], direction[0, 0])
    assert {names[a, b, b] for a in range(3) for b in range(3)} == {("masked", "unchanged")}
    assert names[0, 0, 1] == ("critical", "right_to_wrong")
    assert names[1, 0, 1] == ("critical", "wrong_to_right")
    assert names[2, 0, 1] == ("critical", "wrong_to_wrong")


def test_other_logits_with_the_same_class_are_tolerable():
    clean = Answers(np.array([[5, 1], [5, 1]]), np.array([0, 0]))
    faulty = Answers(np.array([[[5, 2], [5, 1]]]), np.array([[0, 0]]))
    outcome, direction = classify(clean, faulty, np.array([0, 1]))
    assert outcome.tolist() == [["tolerable", "masked"]]
    assert direction.tolist() == [["unchanged", "unchanged"]]


def test_a_pair_that_was_detected_is_so_whatever_became_of_it():
    clean = Answers(np.array([[5, 1], [5, 1]]), np.array([0, 0]))
    seen = np.array([[True, True], [False, True]])
    logits, classes = np.array([[[5, 1], [1, 5]], [[1, 5], [5, 2]]]), np.array([[0, 1], [1, 0]])
    outcome, direction = classify(clean, Answers(logits, classes, seen), np.array([0, 0]))
    assert outcome.tolist() == [["detected", "detected"], ["critical", "detected"]]
    assert direction.tolist()[0] == ["unchanged", "right_to_wrong"]


@settings(max_examples=25, deadline=None)
@given(chains())
def test_all_faults_at_once_equal_the_reference_fault_by_fault(graph):
    x = random_inputs(graph, 7)
    y = random_labels(graph, x)
    flips = single_flips(graph, x, y=y)
    faults = [(fault,) for fault in flips.bits]
    found = evaluate_faults(graph, x, faults)
    for position in range(0, len(faults), 7):
        wanted = reference(graph, x, faults[position])
        np.testing.assert_array_equal(found.logits[position], wanted.logits)
        np.testing.assert_array_equal(found.classes[position], wanted.classes)


@settings(max_examples=25, deadline=None)
@given(chains())
def test_outcomes_of_all_single_flips_equal_the_exhaustive_analysis(graph):
    x = random_inputs(graph, 7)
    y = random_labels(graph, x)
    flips = single_flips(graph, x, y=y)
    found = evaluate_faults(graph, x, [(fault,) for fault in flips.bits])
    outcome, direction = classify(reference(graph, x), found, y)
    for effect, names, name in (
        (Effect.MASKED, outcome, "masked"),
        (Effect.TOLERABLE, outcome, "tolerable"),
        (Effect.RIGHT_TO_WRONG, direction, "right_to_wrong"),
        (Effect.WRONG_TO_RIGHT, direction, "wrong_to_right"),
        (Effect.WRONG_TO_WRONG, direction, "wrong_to_wrong"),
    ):
        np.testing.assert_array_equal((names == name).sum(axis=1), flips.counts[:, effect])
    np.testing.assert_array_equal(outcome == "critical", direction != "unchanged")
