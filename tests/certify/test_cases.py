"""Cases by the channel struck first: sound by brute force, never looser, checked by other code."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import certify_k_flips, check, save_certificates
from flow.certify.box import input_box
from flow.certify.first_struck import groups, withstands_by_channel
from flow.certify.k_flips import CASES, withstood
from flow.certify.plain_cases import label_withstands_by_channel
from flow.certify.subset import BitSubset
from flow.ir import IntType
from tests.attack.networks import network, split
from tests.certify.test_budget import (
    branches_moved_apart,
    flip_sets,
    inputs_within,
    some_subset,
    staircase_behind_moved_elements,
)
from tests.engine.chains import BIPOLAR, chains, random_inputs
from tests.engine.images import image_graphs

MOVED = st.integers(0, 999).map(staircase_behind_moved_elements)
BRANCHES = st.integers(0, 999).map(branches_moved_apart)


@settings(max_examples=60)
@given(
    image_graphs() | chains() | MOVED | BRANCHES,
    st.integers(1, 3),
    st.sampled_from([0, 0, 1]),
    st.integers(0, 99),
)
def test_no_flips_change_an_image_that_withstands_every_case(graph, k, radius, seed):
    subset, x = some_subset(graph, seed), random_inputs(graph, 1, seed)
    label, box = int(graph.evaluate(x)[0]), input_box(graph, x, radius=radius)
    held = withstands_by_channel(graph, box, label=label, flips=k, subset=subset)
    sure = withstood(graph, x, y=np.array([label]), flips=k, subset=subset, radius=radius)[0] >= k
    assert held or not sure
    if held:
        points, _ = inputs_within(box, 6 if radius else 1)
        if graph.input_edge.type.bipolar:
            points = np.where(points <= 0, -1, 1)
        for count in range(1, k + 1):
            for flips in flip_sets(graph, subset, count, 120, seed):
                assert (graph.evaluate(points, flips) == label).all(), flips


@settings(max_examples=40)
@given(image_graphs() | chains() | BRANCHES, st.integers(1, 2), st.integers(0, 99))
def test_the_plain_cases_decide_as_the_fast_ones(graph, k, seed):
    subset, x = some_subset(graph, seed), random_inputs(graph, 2, seed)
    for image, label in zip(x, graph.evaluate(x), strict=True):
        box = input_box(graph, image[None], radius=seed % 2)
        held = withstands_by_channel(graph, box, label=int(label), flips=k, subset=subset)
        plain = label_withstands_by_channel(
            graph, image, int(label), k, subset=subset, radius=seed % 2
        )
        assert plain or not held


def test_layers_with_bits_are_grouped_with_the_thresholds_behind_them():
    graph = network(IntType(3, True), IntType(2))
    assert [group.nodes for group in groups(graph)] == [("fc0", "act0"), ("fc1", "act1"), ("fc2",)]
    assert [group.edge for group in groups(graph)] == ["y0", "y1", "a2"]
    weights = BitSubset.choose(graph, memories=["fc1.weights"])
    assert [(g.nodes, g.edge) for g in groups(graph, weights)] == [(("fc1",), "y1")]


def test_cases_prove_what_budgets_leave_open_and_are_checked(tmp_path):
    graph = network(BIPOLAR, IntType(2))
    subset = BitSubset.choose(graph, layers=["fc0", "fc1"])
    _, (x, y) = split(graph, 80)
    found = certify_k_flips(graph, x, y=y, flips=1, subset=subset, method=CASES)
    budget = withstood(graph, x, y=y, flips=1, subset=subset) >= 1
    assert found.proved > budget.sum()
    save_certificates(found, tmp_path / "c.json")
    assert check(tmp_path / "c.json", graph, x, y).boxes == found.proved
