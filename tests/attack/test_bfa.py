"""The progressive bit search: sign-correct at every width, exact where the loss is linear."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.attack import CrossEntropy, Stop, bfa, logit_temperature
from flow.attack.gradient import ramps
from flow.attack.result import hamming_distance
from flow.attack.surrogate import Surrogate, by_layer
from flow.certify import StoredBits
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Edge, Fault, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.attack.networks import W1A1, W4A4, linear_lead, network, one_layer, split
from tests.engine.chains import BIPOLAR, chains, random_inputs


@settings(max_examples=40, deadline=None)
@given(chains(), st.integers(0, 2**32 - 1))
def test_every_admitted_candidate_has_a_gain_above_zero(graph, seed):
    x = random_inputs(graph, 16, seed)
    y = np.random.default_rng(seed).integers(0, graph.edge(graph.logits).shape[0], 16)
    surrogate = Surrogate.of(BatchedEngine(graph), x, y, CrossEntropy(2.0))
    gains = surrogate.gains(())
    layers = by_layer(graph, gains)
    admitted = np.concatenate(layers)
    assert (gains[admitted] > 0).all()
    assert sorted(admitted) == np.flatnonzero(gains > 0).tolist()
    for layer in layers:
        assert (np.diff(gains[layer]) <= 0).all()


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("seed", range(3))
def test_gains_of_a_linear_loss_are_exact_for_every_bit_at_every_width(bits, seed):
    kind = BIPOLAR if bits == 1 else IntType(bits, True)
    graph = one_layer(kind, seed)
    x = random_inputs(graph, 32, seed)
    y = np.random.default_rng(seed).integers(0, 4, 32)
    surrogate = Surrogate.of(BatchedEngine(graph), x, y, linear_lead)
    clean = surrogate.exact_loss(())
    exact = [surrogate.exact_loss((fault,)) - clean for fault in StoredBits.of(graph)]
    assert surrogate.gains(()).tolist() == exact


@pytest.mark.parametrize(
    ("bits", "popcount"), [(1, True), *((bits, False) for bits in range(1, 9))]
)
@pytest.mark.parametrize("seed", range(3))
def test_the_first_flip_raises_a_linear_loss_by_exactly_its_gain(bits, seed, popcount):
    kind = BIPOLAR if bits == 1 else IntType(bits, True)
    graph = one_layer(kind, seed, columns=8, popcount=popcount)
    attack, test = split(graph)
    result = bfa(graph, *attack, budget=3, seed=seed, evaluate_on=test, batch=32, loss=linear_lead)
    first = result.steps[0]
    assert len(first.flips) == 1
    assert first.gain > 0
    assert first.loss - result.clean_loss == first.gain


@pytest.mark.parametrize("bits", [1, 4])
def test_cross_entropy_of_a_linear_model_rises_by_at_least_the_gain(bits):
    graph = one_layer(BIPOLAR if bits == 1 else IntType(bits, True), seed=4)
    attack, test = split(graph)
    result = bfa(graph, *attack, budget=4, seed=0, evaluate_on=test)
    first = result.steps[0]
    assert first.loss - result.clean_loss >= first.gain > 0  # convex in the weights
    assert all(len(step.flips) == 1 for step in result.steps)


@pytest.mark.parametrize("widths", [W1A1, W4A4], ids=["w1a1", "w4a4"])
@pytest.mark.parametrize("seed", range(3))
def test_every_committed_step_raises_the_exact_loss(widths, seed):
    graph = network(*widths, seed=seed)
    attack, test = split(graph)
    result = bfa(graph, *attack, budget=12, seed=seed, evaluate_on=test)
    losses = [result.clean_loss, *(step.loss for step in result.steps)]
    assert all(after > before for before, after in pairwise(losses))
    assert result.accuracy < result.clean_accuracy == 1.0
    flips = result.flips
    assert len(flips) <= 12
    for k, step in enumerate(result.steps):
        done = [flip for earlier in result.steps[: k + 1] for flip in earlier.flips]
        assert step.accuracy == (graph.evaluate(test[0], done) == test[1]).mean()
        changed = [flip for flip in set(done) if done.count(flip) % 2]
        assert step.hamming_distance == len(changed)


@settings(max_examples=40, deadline=None)
@given(chains(), st.integers(1, 4))
def test_a_step_is_never_wasted_and_never_over_budget(graph, budget):
    attack, test = split(graph, count=60)
    result = bfa(graph, *attack, budget=budget, seed=0, evaluate_on=test, batch=8)
    assert len(result.flips) <= budget
    losses = [result.clean_loss, *(step.loss for step in result.steps)]
    assert all(after > before for before, after in pairwise(losses))
    assert all(step.gain > 0 for step in result.steps)


def all_minus_one():
    op = MatVec(-np.ones((2, 4), dtype=int), BIPOLAR, IntType(8, True))
    nodes = (Node("fc0", op, ("x",), "logits"), Node("argmax", ArgMax(), ("logits",), "class"))
    graph = Graph("minus", "x", Edge((4,), IntType(2)), nodes, "class")
    label = np.zeros(1, dtype=int)
    return graph, (np.ones((1, 4), dtype=int), label), (np.full((1, 4), 2), label)


@pytest.mark.parametrize(
    ("budget", "steps", "stop"),
    [(1, [1], Stop.BUDGET), (2, [1], Stop.STUCK), (3, [1, 2], Stop.BUDGET)],
)
def test_a_step_takes_more_bits_only_where_fewer_do_not_raise_the_loss(budget, steps, stop):
    def uphill_by_steps(logits, y):
        flips = (logits.sum() + 8) / 2  # its slope promises 1 for each flip; the loss alternates
        return flips - torch.cos(torch.pi * flips)  # -1, 2, 1, 4 after 0, 1, 2, 3 flips

    graph, attack, test = all_minus_one()
    result = bfa(graph, *attack, budget=budget, seed=0, evaluate_on=test, loss=uphill_by_steps)
    assert [len(step.flips) for step in result.steps] == steps
    assert [step.loss for step in result.steps] == [2.0, 4.0][: len(steps)]
    assert result.stop is stop


def test_a_promising_bit_that_lowers_the_loss_is_not_flipped():
    def short_climb(logits, y):
        flips = (logits.sum() + 8) / 2
        return flips - 2 * flips**2

    graph, attack, test = all_minus_one()
    result = bfa(graph, *attack, budget=5, seed=0, evaluate_on=test, loss=short_climb)
    assert (result.flips, result.stop) == ((), Stop.STUCK)


def test_a_bit_flipped_back_counts_no_more():
    one, two = Fault("fc0", "weights", (0, 0), 0), Fault("fc0", "weights", (0, 1), 0)
    assert hamming_distance([one, two]) == 2
    assert hamming_distance([one, two, one]) == 1
    assert hamming_distance([one, one]) == 0


def test_an_attack_repeats_for_its_seed_and_differs_for_another():
    graph = network(*W4A4)
    attack, test = split(graph)
    runs = [bfa(graph, *attack, budget=4, seed=s, evaluate_on=test, batch=32) for s in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].steps != runs[2].steps


def test_nothing_is_flipped_when_no_candidate_has_a_gain():
    graph = one_layer(BIPOLAR)
    attack, test = split(graph)

    def flat(logits, y):
        return logits.sum() * 0

    result = bfa(graph, *attack, budget=5, seed=0, evaluate_on=test, loss=flat)
    assert (result.flips, result.stop, result.hamming_distance) == ((), Stop.STUCK, 0)
    assert result.accuracy == result.clean_accuracy == 1.0


def test_the_attack_stops_when_the_network_only_guesses():
    graph = network(*W1A1)
    attack, test = split(graph)
    result = bfa(graph, *attack, budget=400, seed=0, evaluate_on=test)
    assert result.stop is Stop.GUESS
    assert result.accuracy <= 1.1 / 4
    assert all(step.accuracy > 1.1 / 4 for step in result.steps[:-1])


def test_a_step_stays_within_the_budget():
    graph = network(*W1A1, seed=1)
    attack, test = split(graph)
    for budget in range(4):
        result = bfa(graph, *attack, budget=budget, seed=0, evaluate_on=test)
        assert len(result.flips) == budget
        assert result.stop is Stop.BUDGET


def test_attack_images_must_not_be_test_images():
    graph = network(*W1A1)
    attack, test = split(graph)
    mixed = np.concatenate([attack[0], test[0][:1]]), np.concatenate([attack[1], test[1][:1]])
    number = len(attack[0])
    with pytest.raises(InputError, match=f"attack image {number} is also a test image"):
        bfa(graph, *mixed, budget=1, seed=0, evaluate_on=test)


def test_labels_must_be_classes():
    graph = network(*W1A1)
    attack, test = split(graph)
    with pytest.raises(InputError, match="each with a label from 0 to 3"):
        bfa(graph, attack[0], attack[1] + 4, budget=1, seed=0, evaluate_on=test)


def test_the_gradient_of_a_staircase_has_the_sign_of_its_channel():
    op = Threshold([[0, 4], [0, 4]], IntType(5, True), [1, -1], 0, IntType(2), signs_stored=True)
    x = np.array([[1, 1], [12, 12]])
    pulled = ramps(op, x, np.ones((2, 2)), spread=np.array([4.0, 4.0]))
    assert pulled.tolist() == [[0.25, -0.25], [0.0, 0.0]]


def test_the_temperature_makes_a_typical_lead_two_nats():
    assert logit_temperature(np.array([[10, 2, 0], [0, 4, 8]])) == 3.0
    assert logit_temperature(np.array([[1, 0]])) == 1.0
