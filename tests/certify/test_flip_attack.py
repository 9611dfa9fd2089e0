"""Attacks on stored bits: what they return changes the class, and the last layer's is the worst."""

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import BitSubset
from flow.certify.flip_attack import fewest_flips, worst_sets
from flow.certify.k_flips import withstood
from flow.certify.stored_bits import StoredBits
from tests.certify.test_budget import some_subset
from tests.certify.test_k_flips import sparse_net
from tests.engine.chains import chains, random_inputs
from tests.engine.images import image_graphs


@settings(max_examples=60)
@given(chains() | image_graphs(), st.integers(1, 4), st.integers(0, 99))
def test_what_is_returned_changes_the_class_within_its_budget_and_its_bits(graph, most, seed):
    subset, x = some_subset(graph, seed), random_inputs(graph, 3)
    stored = StoredBits.of(graph)
    allowed = subset.positions(stored)
    held = withstood(graph, x, y=graph.evaluate(x), flips=most, subset=subset)
    for image, k in zip(x, held, strict=True):
        label = int(graph.evaluate(image[None])[0])
        flips = fewest_flips(graph, image, label=label, most=most, subset=subset)
        assert len(set(flips)) == len(flips) <= most
        assert all(allowed[stored.position(flip)] for flip in flips)
        if flips:
            assert graph.evaluate(image[None], flips)[0] != label
            assert len(flips) > k


@pytest.mark.parametrize("k", [1, 2])
def test_no_set_of_the_last_layer_brings_a_rival_closer_than_the_one_read_off(k):
    for seed in range(6):
        graph = sparse_net(seed)
        subset = BitSubset.choose(graph, layers=["fc1"])
        stored = StoredBits.of(graph)
        bits = [stored.fault(int(b)) for b in np.flatnonzero(subset.positions(stored))]
        image = random_inputs(graph, 1, seed)
        label = int(graph.evaluate(image)[0])

        lead = partial(leads, graph, image, label)
        least = np.min([lead(s) for n in range(k + 1) for s in combinations(bits, n)], axis=0)
        values = graph.evaluate_all(image)
        sets = list(worst_sets(graph, values, label=label, flips=k, subset=subset))
        assert np.min([lead(s) for s in sets], axis=0).tolist() == least.tolist()


def leads(graph, image, label, flips):
    """How far the label is ahead of each rival."""
    logits = graph.evaluate_all(image, flips)["logits"][0]
    return np.delete(logits[label] - logits, label)
