"""Smallest sets of bits, words and memories to protect, against brute force."""

import json
from fractions import Fraction
from itertools import chain, combinations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.build import build, site_table
from flow.certify import BitSubset, StoredBits, single_flips
from flow.certify.check import check
from flow.certify.k_flips import largest_k
from flow.certify.protection import (
    Part,
    cheapest_hitting,
    critical_bits,
    fewest_bits,
    fewest_parts,
    lift,
    memories,
    ranking,
    smallest_parts,
    words,
)
from flow.errors import InputError
from flow.evidence import protect
from flow.graphfile import save_graph
from flow.schedule import make_plan
from flow.stages import Images
from tests.campaign.campaigns import binary_network, four_bit_network, labelled

SHARES = (Fraction(1, 3), Fraction(1, 2), Fraction(9, 10), Fraction(1))


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


@pytest.fixture(scope="module")
def tiny():
    """A network of 39 bits, images with labels, and all its single flips."""
    graph = binary_network((3, 3, 2))
    x, y = labelled(graph, 24)
    return graph, x, y, single_flips(graph, x, y=y)


@pytest.fixture(scope="module")
def wide():
    graph = four_bit_network((6, 5, 4), signs=True)
    x, y = labelled(graph, 24)
    return graph, x, y, single_flips(graph, x, y=y)


def removed(flips, bits):
    return int(flips.class_changes[np.asarray(bits, dtype=int)].sum())


@pytest.mark.parametrize("share", SHARES)
def test_no_fewer_bits_keep_a_share_away(wide, share):
    _, _, _, flips = wide
    found, total = fewest_bits(flips, share), removed(flips, range(len(flips.bits)))
    assert removed(flips, found) >= share * total
    # The best of any smaller number of bits are the most critical ones, and they do not suffice.
    best = sorted(flips.class_changes, reverse=True)[: len(found) - 1]
    assert sum(best) < share * total
    assert len(set(found.tolist())) == len(found)


def test_the_ranking_has_every_bit_once_the_most_critical_first(wide):
    _, _, _, flips = wide
    order = ranking(flips)
    assert sorted(order) == list(range(len(flips.bits)))
    assert (np.diff(flips.class_changes[order]) <= 0).all()


@pytest.mark.parametrize("share", SHARES)
def test_smallest_memories_are_those_of_brute_force(wide, share):
    graph, _, _, flips = wide
    parts = memories(StoredBits.of(graph))
    assert [part.name for part in parts] == ["fc0.weights", "act0.thresholds", "fc1.weights"]
    total = int(flips.class_changes.sum())

    def suffices(chosen):
        return sum(removed(flips, part.bits) for part in chosen) >= share * total

    wanted = min(sum(len(p.bits) for p in chosen) for chosen in subsets(parts) if suffices(chosen))
    found = smallest_parts(flips, parts, share)
    assert suffices(found.parts)
    assert found.bits == wanted == sum(len(part.bits) for part in found.parts)
    assert (found.removed, found.faults) == (
        sum(removed(flips, p.bits) for p in found.parts),
        total,
    )


class Weighed:
    """Flips whose bit k changes ``changes[k]`` images."""

    def __init__(self, changes):
        self.class_changes = np.array(changes)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=7),
    st.sampled_from(SHARES),
)
def test_smallest_and_fewest_parts_equal_brute_force(groups, share):
    flips = Weighed([change for group in groups for change in group])
    ends = np.cumsum([0, *map(len, groups)])
    parts = [Part(str(k), np.arange(ends[k], ends[k + 1])) for k in range(len(groups))]
    total = int(flips.class_changes.sum())
    enough = [
        chosen
        for chosen in subsets(parts)
        if sum(removed(flips, p.bits) for p in chosen) >= share * total
    ]
    smallest, fewest = smallest_parts(flips, parts, share), fewest_parts(flips, parts, share)
    assert smallest.bits == min(sum(len(p.bits) for p in chosen) for chosen in enough)
    assert len(fewest.parts) == min(map(len, enough))
    assert min(smallest.removed, fewest.removed) >= share * total


def test_words_hold_every_stored_bit_once(tiny, tmp_path):
    graph, _, _, _ = tiny
    plan = make_plan(graph)
    build(graph, plan, tmp_path / "build")
    table, bits = site_table(graph, plan), StoredBits.of(graph)
    found = words(table, bits)
    assert sorted(np.concatenate([part.bits for part in found])) == list(range(len(bits)))
    for part in found:
        memory, _, word = part.name.split(" ")
        for k in part.bits:
            site = table.site(bits.fault(int(k)))
            assert (site.memory, site.word) == (memory, int(word))


def test_with_critical_bits_protected_no_flip_breaks_a_correct_image_and_each_is_needed(tiny):
    graph, x, _, _ = tiny
    classes = graph.evaluate(x)
    y = np.where(np.arange(len(x)) < 3, classes, 1 - classes)
    flips = single_flips(graph, x, y=y)
    needed = set(critical_bits(flips).tolist())
    correct = classes == y
    assert 0 < len(needed) < (flips.class_changes > 0).sum()  # some matter to wrong images only
    for k, fault in enumerate(StoredBits.of(graph)):
        broken = (graph.evaluate(x, [fault]) != graph.evaluate(x)) & correct
        assert broken.any() == (k in needed)


@pytest.fixture(scope="module")
def lifted(tiny):
    graph, x, y, _ = tiny
    goal = Fraction(1, 4)
    return graph, x, y, goal, lift(graph, x, y=y, flips=2, share=goal)


def test_protected_memories_certify_what_no_two_other_flips_break(lifted):
    graph, x, y, goal, found = lifted
    assert found is not None
    correct = graph.evaluate(x) == y
    assert found.correct == correct.sum()
    assert found.certified >= goal * found.correct
    stored = StoredBits.of(graph)
    left = [stored.fault(int(k)) for k in np.flatnonzero(found.subset.positions(stored))]
    assert len(stored) - len(left) == found.bits
    held = largest_k(graph, x, y=y, most=2, subset=found.subset) >= 2
    assert (held & correct).sum() == found.certified
    for flips in chain(([f] for f in left), combinations(left, 2)):
        assert (graph.evaluate(x, flips)[held] == y[held]).all()


def test_no_cheaper_memories_are_certified_by_these_bounds(lifted):
    graph, x, y, goal, found = lifted
    parts = memories(StoredBits.of(graph))
    for chosen in subsets(parts):
        cost = sum(len(part.bits) for part in chosen)
        left = [part.name for part in parts if part not in chosen]
        if cost >= found.bits or not left:
            continue
        subset = BitSubset.choose(graph, memories=left)
        held = largest_k(graph, x, y=y, most=2, subset=subset) >= 2
        assert (held & (graph.evaluate(x) == y)).sum() < goal * found.correct


DEEP = four_bit_network((6, 5, 4, 3))
MEMORIES = [part.name for part in memories(StoredBits.of(DEEP))]
GROUPS = st.lists(st.frozensets(st.sampled_from(MEMORIES), min_size=1), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(GROUPS, min_size=4, max_size=4), st.sampled_from(SHARES))
def test_the_memories_found_are_the_cheapest_whatever_bounds_say(breaking, share):
    """Bounds made up: an image withstands 2 flips unless one of its groups may flip as a whole."""

    trials = []

    def bounds(graph, x, *, y, most, subset):
        trials.append(subset)
        left = {part.name for part in memories(StoredBits.of(graph)) if allowed(subset, part)}
        broken = [any(group <= left for group in groups) for groups in breaking]
        return np.where(broken, 1, most)

    def allowed(subset, part):
        return subset.positions(StoredBits.of(DEEP))[part.bits].all()

    x, _ = labelled(DEEP, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flow.certify.protection.largest_k", bounds)
        found = lift(DEEP, x, y=DEEP.evaluate(x), flips=2, share=share)
    sizes = {part.name: len(part.bits) for part in memories(StoredBits.of(DEEP))}
    costs = []
    for chosen in subsets(MEMORIES):
        left = set(MEMORIES) - set(chosen)
        kept = sum(not any(group <= left for group in groups) for groups in breaking)
        if left and kept >= share * 4:
            costs.append(sum(sizes[name] for name in chosen))
    if found is None:
        assert not costs
    else:
        assert found.bits == sum(sizes[name] for name in found.memories) == min(costs)
        assert found.certified >= share * found.correct == share * 4
        assert found.tried == len(trials)


def test_where_only_all_memories_do_it_is_said(wide):
    graph, x, y, _ = wide
    assert lift(graph, x, y=y, flips=3) is None


@given(
    st.lists(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), max_size=5),
    st.lists(st.integers(1, 9), min_size=6, max_size=6),
)
def test_the_cheapest_hitting_set_is_that_of_brute_force(groups, costs):
    found = cheapest_hitting(groups, costs)
    assert all(group & found for group in groups)
    hitting = [c for c in subsets(range(6)) if all(group & set(c) for group in groups)]
    assert sum(costs[k] for k in found) == min(sum(costs[k] for k in c) for c in hitting)


def test_the_files_hold_the_ranking_and_every_set(tiny, tmp_path):
    graph, x, y, flips = tiny
    save_graph(graph, tmp_path / "graph.json")
    build(graph, make_plan(graph), tmp_path / "build")
    record = protect(
        tmp_path / "graph.json",
        Images("random", x, y),
        directory=tmp_path / "out",
        shares=["0.5", "1"],
        build=tmp_path / "build",
        flips=2,
        certified="0.25",
    )
    ranked = pq.read_table(tmp_path / "out" / "ranking.parquet").to_pylist()
    order = ranking(flips)
    stored = StoredBits.of(graph)
    assert [row["critical"] for row in ranked] == flips.class_changes[order].tolist()
    first = stored.fault(int(order[0]))
    named = (ranked[0]["node"], ranked[0]["parameter"], tuple(ranked[0]["index"]), ranked[0]["bit"])
    assert named == (first.node, first.parameter, first.index, first.bit)
    assert ranked[-1]["removed"] == 1
    rows = pq.read_table(tmp_path / "out" / "protected.parquet").to_pylist()
    sizes = {name: sum(row["set"] == name for row in rows) for name in {r["set"] for r in rows}}
    for row in record["sets"]:
        assert sizes.get(f"{row['unit']} {row['share']}", 0) == row["bits"]
    assert {row["unit"] for row in record["sets"]} == {"bits", "words", "memories"}
    assert sizes["certified 1"] == record["protected_for_one_flip"] == len(critical_bits(flips))
    assert sizes["certified 2"] == record["lift"]["bits"]
    checked = check(tmp_path / "out" / record["lift"]["certificates"], graph, x, y=y)
    assert checked is not None


@pytest.mark.parametrize("share", ["0", "1.5", "most", "1/0"])
def test_a_share_that_is_none_is_refused(tiny, tmp_path, share):
    graph, x, y, _ = tiny
    save_graph(graph, tmp_path / "graph.json")
    with pytest.raises(InputError, match=f"share {share}: give a number above 0 up to 1"):
        protect(tmp_path / "graph.json", Images("random", x, y), directory=tmp_path, shares=[share])


def test_the_command_line_prints_what_to_protect(tiny, tmp_path, bitproof):
    graph, x, y, _ = tiny
    save_graph(graph, tmp_path / "graph.json")
    np.savez(tmp_path / "images.npz", x=x, y=y)
    asked = ("protect", tmp_path / "graph.json", "--data", tmp_path / "images.npz")
    status, out, _ = bitproof(*asked, "-o", tmp_path / "out", "--share", "0.9", "--json")
    assert status == 0
    assert [row["unit"] for row in json.loads(out)["sets"]] == ["bits", "memories"]
    status, out, _ = bitproof(*asked, "-o", tmp_path / "out")
    assert "memories" in out
    status, _, err = bitproof(*asked, "-o", tmp_path / "out", "--certified", "0.5")
    assert (status, "--certified is of --flips" in err) == (2, True)
