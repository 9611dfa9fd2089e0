"""Bursts of adjacent bits of a memory word, against brute force on every op that stores bits."""

import json
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.build import SiteTable
from flow.build.images import graph_layouts, memory_layouts, with_parity
from flow.certify import (
    Bursts,
    Checked,
    Effect,
    burst_flips,
    burst_flips_in_parts,
    certify_bursts,
    check,
    save_certificates,
    single_flips,
    write_burst_table,
)
from flow.errors import ClaimError, InputError
from flow.ir import Fault
from flow.schedule import Folding, make_plan
from tests.certify.test_check import first, tamper
from tests.engine.chains import chains, random_chain, random_inputs, random_labels
from tests.engine.images import image_graphs
from tests.schedule.networks import four_bit_network


def some_memories(graph, seed, *, parity=False):
    """The memories of a build of any folding; units are as wide as they like."""
    rng, layouts = np.random.default_rng(seed), []
    for node in graph.nodes:
        if not node.op.stored:
            continue
        rows, *columns = next(iter(getattr(node.op, name).shape for name in node.op.stored))
        pe, simd = (
            int(rng.choice([d for d in range(1, size + 1) if size % d == 0]))
            for size in (rows, columns[0])
        )
        layouts += memory_layouts(node.op, Folding(pe, simd), node=node.name)
    return SiteTable(tuple(map(with_parity, layouts) if parity else layouts))


def every_burst(sites, length):
    """By the words of the table alone: what each run of adjacent bits flips."""
    runs = {}
    for site in sites:
        runs.setdefault((site.memory, site.word), []).append(site.fault)
    for word in runs.values():
        for low in range(max(1, len(word) - length + 1)):
            yield tuple(fault for fault in word[low : low + length] if fault is not None)


def assert_equal_to_brute_force(graph, sites, length, images):
    x = random_inputs(graph, images)
    y = random_labels(graph, x)
    bursts = Bursts(sites, length)
    found = burst_flips(graph, x, y=y, bursts=bursts)
    wanted = list(every_burst(sites, length))
    assert len(bursts) == len(found.counts) == len(wanted)
    clean = graph.evaluate_all(x)
    was, right = clean[graph.output], clean[graph.output] == y
    broken = np.zeros(images, dtype=bool)
    for k, faults in enumerate(wanted):
        assert bursts.faults(k) == faults
        struck = graph.evaluate_all(x, faults)
        now = struck[graph.output]
        moved = (struck[graph.logits] != clean[graph.logits]).any(axis=1)
        changed = now != was
        counts = [
            (~moved).sum(),
            (moved & ~changed).sum(),
            (changed & right).sum(),
            (changed & (now == y)).sum(),
            (changed & ~right & (now != y)).sum(),
        ]
        assert found.counts[k].tolist() == counts
        critical = np.unpackbits(found.critical[k], count=images).astype(bool)
        assert critical.tolist() == changed.tolist()
        broken |= changed
    assert found.certified.tolist() == (right & ~broken).tolist()


@settings(max_examples=40, deadline=None)
@given(chains(), st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_every_burst_on_every_image_equals_brute_force(graph, seed, length):
    assert_equal_to_brute_force(graph, some_memories(graph, seed, parity=seed % 2 == 0), length, 5)


@settings(max_examples=25, deadline=None)
@given(image_graphs(), st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_bursts_in_image_networks_equal_brute_force(graph, seed, length):
    assert_equal_to_brute_force(graph, some_memories(graph, seed), length, 2)


def test_bursts_of_one_bit_are_the_single_flips_of_a_planned_build():
    graph = four_bit_network([6, 4, 4, 2], signs=True)
    plan = make_plan(graph, cycles=6)
    sites = SiteTable(graph_layouts(graph, plan.folding))
    x = random_inputs(graph, 20)
    y = random_labels(graph, x)
    bursts, single = Bursts(sites, 1), single_flips(graph, x, y=y)
    found = burst_flips(graph, x, y=y, bursts=bursts, jobs=2)
    order = [single.bits.position(bursts.faults(k)[0]) for k in range(len(bursts))]
    assert sorted(order) == list(range(len(single.bits)))
    np.testing.assert_array_equal(found.counts, single.counts[order])
    np.testing.assert_array_equal(found.critical, single.critical[order])


def test_a_burst_as_long_as_a_word_or_longer_flips_the_whole_word():
    graph = random_chain(3)
    sites = some_memories(graph, 1, parity=True)
    words = sum(layout.words for layout in sites.layouts)
    bursts = Bursts(sites, 1000)
    assert len(bursts) == words
    assert sum(len(bursts.faults(k)) for k in range(words)) == len(sites)
    with pytest.raises(IndexError, match=f"burst {words} of {words}"):
        bursts.faults(words)
    with pytest.raises(InputError, match="bursts of 0 bits: give 1 or more"):
        Bursts(sites, 0)


def mixed():
    """A graph, its memories, images and bursts with every verdict among them."""
    for seed in range(200):
        graph = random_chain(seed)
        x = random_inputs(graph, 10)
        y = random_labels(graph, x)
        sites = some_memories(graph, seed)
        found = certify_bursts(burst_flips(graph, x, y=y, bursts=Bursts(sites, 2)), x, y=y)
        counts = found.summary()
        if min(counts["misclassified"], counts["proved"], counts["refuted"]) > 0:
            return graph, sites, x, y, found
    raise AssertionError("no chain with every verdict")


@pytest.fixture
def case(tmp_path):
    graph, sites, x, y, found = mixed()
    save_certificates(found, tmp_path / "c.json")
    return graph, sites, x, y, found, tmp_path / "c.json"


def test_the_checker_enumerates_the_bursts_of_the_build(case):
    graph, sites, x, y, found, path = case
    assert found.radius == 2
    assert check(path, graph, x, y, sites=sites) == Checked(0, 10 - found.proved, 10, 0)
    some = check(path, graph, x, y, sites=sites, images=[0])
    assert some.enumerated == 1
    with pytest.raises(InputError, match="about the words of a build; give it with --build"):
        check(path, graph, x, y)
    others = SiteTable(sites.layouts[1:])
    with pytest.raises(InputError, match="about another build's memories"):
        check(path, graph, x, y, sites=others)


def longer(record):
    record["terms"]["burst"]["length"] = 3


def longer_all_through(record):
    record["terms"]["burst"]["length"], record["radius"] = 3, 3


def claim_proved(record):
    first(record, "REFUTED").update(verdict="PROVED", faults=[])


def another_witness(record):
    entry = first(record, "REFUTED")
    entry["faults"] = entry["faults"][:1]


def no_witness(record):
    del first(record, "REFUTED")["faults"]


def a_single_fault(record):
    entry = first(record, "REFUTED")
    entry["fault"] = entry["faults"][0]


def more_terms(record):
    record["terms"]["subset"] = {"highest": 1}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (longer, InputError, "bursts of 3 bits, but 2 flips"),
        (longer_all_through, ClaimError, "no burst of this build|other effects"),
        (claim_proved, ClaimError, "PROVED, but .* changes its class"),
        (another_witness, ClaimError, "its witness is no burst of this build"),
        (no_witness, ClaimError, "its witness is no burst of this build"),
        (a_single_fault, ClaimError, "its witness is no burst of this build"),
        (more_terms, InputError, "does not know the terms"),
    ],
)
def test_a_forged_certificate_of_bursts_is_rejected(case, change, error, message):
    graph, sites, x, y, _, path = case
    tamper(path, change)
    with pytest.raises(error, match=message):
        check(path, graph, x, y, sites=sites)


def test_a_killed_run_of_bursts_goes_on_and_the_table_names_every_word(tmp_path, monkeypatch):
    graph = random_chain(5)
    sites = some_memories(graph, 5)
    x = random_inputs(graph, 20)
    y = random_labels(graph, x)
    bursts = Bursts(sites, 2)
    run = partial(burst_flips_in_parts, graph, (x, y), bursts=bursts, folder=tmp_path / "p")
    whole = burst_flips(graph, x, y=y, bursts=bursts)
    calls = []

    def killed(*args, **more):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return burst_flips(*args, **more)

    monkeypatch.setattr("flow.certify.flip_files.burst_flips", killed)
    with pytest.raises(KeyboardInterrupt):
        run(images=8)
    found = run(images=8)
    assert len(calls) == 4
    assert found.enumeration() == whole.enumeration()
    write_burst_table(found, tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    rows = table.to_pylist()
    assert len(rows) == len(bursts)
    for k in (0, len(rows) // 2, len(rows) - 1):
        place = (rows[k]["memory"], rows[k]["word"], rows[k]["bit"])
        assert place == bursts.place(k)
        assert [rows[k][kind.name.lower()] for kind in Effect] == whole.counts[k].tolist()
    assert table.schema.metadata[b"sites"].decode() == sites.digest()
    json.dumps(bursts.terms())
    assert isinstance(bursts.faults(0)[0], Fault)
