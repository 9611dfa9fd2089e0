"""Branch and bound on bits: brute force over every set of bits agrees; trees are checked again."""

from dataclasses import replace
from itertools import combinations
from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import BitSubset, Verdict, check, save_certificates, with_fewer
from flow.certify.bit_branch import BitSearch
from flow.certify.bit_tree import BitTree, End, branches
from flow.certify.box import Box
from flow.certify.branch_answers import certify_flips_by_branching
from flow.certify.budget import budgeted
from flow.certify.k_flips import withstood
from flow.certify.plain_bit_tree import label_withstands_by_bits
from flow.certify.plain_budget import label_withstands
from flow.certify.stored_bits import StoredBits
from flow.errors import ClaimError, InputError
from flow.ir import Fault, IntType
from tests.attack.networks import network, split
from tests.certify.test_budget import some_subset
from tests.certify.test_k_flips import sparse_net
from tests.engine.chains import BIPOLAR, chains, random_inputs
from tests.engine.images import image_graphs


def all_bits(graph, subset):
    stored = StoredBits.of(graph)
    return [stored.fault(int(b)) for b in np.flatnonzero(subset.positions(stored))]


def first_that_breaks(graph, image, label, bits, most):
    """The size of the smallest set of ``bits`` that takes the label; None up to ``most``."""
    for count in range(1, most + 1):
        for flips in combinations(bits, count):
            if graph.evaluate(image[None], flips)[0] != label:
                return count
    return None


def few_bits(graph, seed, k):
    """A subset whose sets of k bits are few enough to try all; None if there is none."""
    stored = StoredBits.of(graph)
    for step in range(6):
        subset = some_subset(graph, seed + step)
        bits = int(subset.positions(stored).sum())
        if bits >= k and comb(bits, k) <= 3_000:
            return subset
    return None


@settings(max_examples=40, deadline=None)
@given(
    image_graphs() | chains() | st.integers(0, 99).map(sparse_net),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_every_image_is_decided_as_every_set_of_bits_says(graph, k, seed):
    subset = few_bits(graph, seed, k)
    if subset is None:
        return
    image = random_inputs(graph, 1, seed)[0]
    label = int(graph.evaluate(image[None])[0])
    found = BitSearch(graph, flips=k, subset=subset).decide(image, label, until=inf)
    fewest = first_that_breaks(graph, image, label, all_bits(graph, subset), k)
    assert (found.witness is not None) == (fewest is not None)
    assert (found.tree is not None) == (fewest is None)
    if found.witness is not None:
        assert fewest <= len(set(found.witness)) == len(found.witness) <= k
        assert set(found.witness) <= set(all_bits(graph, subset))
        assert graph.evaluate(image[None], found.witness)[0] != label
    else:
        record = found.tree.record()
        assert BitTree.of_record(record) == found.tree
        assert label_withstands_by_bits(graph, image, label, k, record=record, subset=subset)


@settings(max_examples=60, deadline=None)
@given(image_graphs() | chains(), st.integers(1, 2), st.integers(0, 99))
def test_bounds_with_single_bits_barred_hold_for_all_others(graph, k, seed):
    rng, subset = np.random.default_rng(seed), some_subset(graph, seed)
    bits = all_bits(graph, subset)
    chosen = rng.permutation(len(bits))[: int(rng.integers(len(bits) + 1))]
    barred = frozenset(bits[int(b)] for b in chosen)
    own = replace(subset, barred=barred)
    free = [bit for bit in bits if bit not in barred]
    assert all_bits(graph, own) == free
    x = random_inputs(graph, 2, seed)
    y, reached = graph.evaluate(x), budgeted(graph, Box(x, x), flips=k, subset=own)
    held = withstood(graph, x, y=y, flips=k, subset=own) >= k
    for image, label, fast in zip(x, y, held, strict=True):
        assert label_withstands(graph, image, int(label), k, subset=own) or not fast
    sets = [f for n in range(1, k + 1) for f in combinations(free, n)]
    for index in rng.permutation(len(sets))[:150]:
        seen = graph.evaluate_all(x, sets[int(index)])
        assert (seen[graph.output][held] == y[held]).all()
        for name, struck in reached.items():
            low = np.minimum.reduce([struck.state[r, k - r].lo for r in range(k + 1)])
            high = np.maximum.reduce([struck.state[r, k - r].hi for r in range(k + 1)])
            assert (low <= seen[name]).all(), name
            assert (seen[name] <= high).all(), name


def test_barred_bits_tighten_the_bounds_of_their_own_neuron_only():
    graph = sparse_net(3)
    x = random_inputs(graph, 1)
    every = budgeted(graph, Box(x, x), flips=1)["y0"].state[0, 1]
    own = [b for b in StoredBits.of(graph) if b.node != "fc1" and b.index[0] == 0]
    state = budgeted(graph, Box(x, x), flips=1, subset=BitSubset(barred=frozenset(own)))["y0"].state
    clean = graph.evaluate_all(x)["y0"]
    assert state[0, 1].lo[0, 0] == state[0, 1].hi[0, 0] == clean[0, 0]
    assert state[0, 1].lo[0, 1] == every.lo[0, 1]
    assert state[0, 1].hi[0, 1] == every.hi[0, 1]
    with pytest.raises(ValueError, match="but single bits has no file"):
        BitSubset(barred=frozenset(own)).terms()


def trained(k=2):
    """Images of a network of two hidden layers that budgets leave open."""
    graph = network(BIPOLAR, IntType(2), 1, inputs=6, hidden=6)
    subset = BitSubset.choose(graph, memories=["fc0.weights"])
    _, (x, y) = split(graph, 60)
    return graph, x[:14], y[:14], subset, k


def test_splits_decide_what_budgets_leave_open_and_are_checked(tmp_path):
    graph, x, y, subset, k = trained()
    quick = withstood(graph, x, y=y, flips=k, subset=subset) >= k
    found = certify_flips_by_branching(graph, x, y=y, flips=k, subset=subset)
    verdicts = [c.verdict for c in found.certificates]
    bits = all_bits(graph, subset)
    for image, label, verdict in zip(x, y, verdicts, strict=True):
        fewest = first_that_breaks(graph, image, int(label), bits, k)
        assert verdict is (Verdict.PROVED if fewest is None else Verdict.REFUTED)
    assert found.proved > quick.sum()
    save_certificates(found, tmp_path / "c.json")
    assert check(tmp_path / "c.json", graph, x, y).boxes == found.proved
    fewer = with_fewer(found, 1)
    save_certificates(fewer, tmp_path / "d.json")
    assert check(tmp_path / "d.json", graph, x, y).boxes == fewer.proved >= found.proved


def test_no_part_flips_a_bit_twice_or_spends_more_than_there_is():
    graph, x, y, subset, _ = trained()
    for k in (2, 3):
        search = BitSearch(graph, flips=k, subset=subset)
        for image, label in zip(x[:3], y[:3], strict=True):
            found = search.decide(image, int(label), until=inf)
            waiting, deepest = [()], 0
            for step in found.tree.steps if found.tree is not None else ():
                flipped = waiting.pop()
                deepest = max(deepest, len(flipped))
                if isinstance(step, Fault):
                    assert step not in flipped
                    assert len(flipped) < k - 1  # with one flip left every one is run
                    waiting += [flipped, (*flipped, step)]
            assert not waiting or found.tree is None
            if found.tree is not None:
                record = found.tree.record()
                assert label_withstands_by_bits(
                    graph, image, int(label), k, record=record, subset=subset
                )
            if found.witness is not None:
                assert len(set(found.witness)) == len(found.witness) <= k


def test_without_time_nothing_is_decided_by_splits():
    graph, x, y, subset, k = trained()
    found = certify_flips_by_branching(graph, x, y=y, flips=k, subset=subset, seconds=0)
    assert found.method == "branch"
    assert not any("tree" in c.detail for c in found.certificates)
    with pytest.raises(InputError, match=r"a budget of -1.0 s: give 0 or more"):
        certify_flips_by_branching(graph, x, y=y, flips=k, subset=subset, seconds=-1.0)


def proved_by_a_tree():
    graph, x, y, subset, k = trained()
    found = certify_flips_by_branching(graph, x, y=y, flips=k, subset=subset)
    image = next(
        n
        for n, c in enumerate(found.certificates)
        if "tree" in c.detail and branches(BitTree.of_record(c.detail["tree"]).steps)
    )
    return graph, x, y, found, image


def test_a_forged_tree_is_rejected(tmp_path):
    graph, x, y, found, image = proved_by_a_tree()
    sound = BitTree.of_record(found.certificates[image].detail["tree"])
    steps, flips = sound.steps, sound.flips
    at = next(n for n, step in enumerate(steps) if isinstance(step, Fault))
    elsewhere = replace(steps[at], node="fc9")
    outside = replace(steps[at], index=(99, 0))
    other_memory = Fault("act0", "thresholds", (0, 0), 0)

    def with_step(step):
        return BitTree(flips, (*steps[:at], step, *steps[at + 1 :]))

    forged = [
        BitTree(flips, steps[:-1]),
        BitTree(flips, (*steps, End.EVERY)),
        BitTree(flips - 1, steps),
        BitTree(flips, (End.BUDGET,)),
        BitTree(flips, (End.EVERY,)),
        BitTree(flips, (End.CASES,)),
        with_step(elsewhere),
        with_step(outside),
        with_step(other_memory),
        BitTree(flips, (steps[at], steps[at], *steps[at + 1 :])),
    ]
    path = tmp_path / "c.json"

    def denied(record, message):
        changed = list(found.certificates)
        detail = {**changed[image].detail, "tree": record}
        changed[image] = replace(changed[image], detail=detail)
        save_certificates(replace(found, certificates=tuple(changed)), path)
        with pytest.raises(ClaimError, match=message):
            check(path, graph, x, y)

    for tree in forged:
        denied(tree.record(), "its tree of bits leaves other classes open")
    for record in ({"flips": 2}, {"flips": 2, "steps": ["x"]}, {"flips": 2, "steps": ["s 1"]}, []):
        denied(record, "by no tree of bits")


def test_enumeration_is_an_argument_about_one_flip_at_most():
    graph = sparse_net(3)
    x = random_inputs(graph, 1)
    label = int(graph.evaluate(x)[0])
    every = BitTree(2, (End.EVERY,)).record()
    assert not label_withstands_by_bits(graph, x[0], label, 2, record=every)
    one = BitTree(1, (End.EVERY,)).record()
    single = first_that_breaks(graph, x[0], label, list(StoredBits.of(graph)), 1)
    assert label_withstands_by_bits(graph, x[0], label, 1, record=one) == (single is None)
    assert not label_withstands_by_bits(graph, x[0], 1 - label, 1, record=one)


def test_a_tree_of_fewer_flips_than_are_claimed_shows_nothing():
    graph, x, y, subset, _ = trained()
    one = BitTree(1, (End.EVERY,)).record()
    bits = all_bits(graph, subset)
    withstanding = [
        (image, int(label))
        for image, label in zip(x, y, strict=True)
        if first_that_breaks(graph, image, int(label), bits, 1) is None
    ]
    assert withstanding
    for image, label in withstanding:
        assert label_withstands_by_bits(graph, image, label, 1, record=one, subset=subset)
        assert not label_withstands_by_bits(graph, image, label, 2, record=one, subset=subset)
