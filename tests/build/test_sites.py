from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.build import SiteTable, image_bits, site_table
from flow.build.images import PADDING, memory_layouts
from flow.ir import Fault, IntType, Kind
from flow.ops import Compare, MatVec, Threshold
from flow.passes import search_form
from flow.schedule import Folding, MemoryStyle, make_plan
from tests.schedule.networks import binary_network, four_bit_network, networks


def all_faults(graph):
    for node in graph.nodes:
        for name, kind in node.op.stored.items():
            shape = getattr(node.op, name).shape
            for *index, bit in product(*map(range, shape), range(kind.bits)):
                yield Fault(node.name, name, tuple(index), bit)


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(1, 60), st.booleans())
def test_sites_and_stored_bits_are_one_to_one(graph, cycles, search):
    graph = search_form(graph) if search else graph
    table = site_table(graph, make_plan(graph, cycles=cycles))
    every, faults = list(table), list(all_faults(graph))
    sites = [site for site in every if site.fault is not None]

    assert len(table) == len(sites) == len(faults)
    assert table.padding == len(every) - len(sites)
    assert table.padding == 0 or search
    assert {site.fault for site in sites} == set(faults)
    assert len({(site.memory, site.word, site.bit) for site in every}) == len(every)
    assert all(table.site(site.fault) == site for site in sites)


def searched(sizes, signs):
    return search_form(four_bit_network(sizes, signs=signs))


@pytest.mark.parametrize("make", [binary_network, four_bit_network, searched])
def test_flipping_a_site_in_the_image_is_the_fault_in_the_graph(make):
    graph = make([6, 4, 4, 2], signs=True)
    table = site_table(graph, make_plan(graph, cycles=6))
    for layout in table.layouts:
        clean = image_bits(graph.node(layout.node).op, layout)
        for word, bit in np.ndindex(clean.shape):
            fault = table.at(layout.name, word, bit).fault
            if fault is None:
                assert not clean[word, bit]
                continue
            found = image_bits(graph.with_faults([fault]).node(fault.node).op, layout)
            changed = np.argwhere(found != clean).tolist()
            assert changed == [[word, bit]]


def test_the_kind_of_a_fault_does_not_move_it():
    graph = binary_network([4, 2, 2])
    table = site_table(graph, make_plan(graph))
    flip = table.site(Fault("fc1", "weights", (1, 0), 0))
    stuck = table.site(Fault("fc1", "weights", (1, 0), 0, Kind.STUCK1))
    assert (flip.memory, flip.word, flip.bit) == (stuck.memory, stuck.word, stuck.bit)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("fc0", "weights", (2, 0), 0),
        Fault("fc0", "weights", (-1, 0), 0),
        Fault("fc0", "weights", (0,), 0),
        Fault("fc0", "weights", (0, 0), 1),
        Fault("fc0", "thresholds", (0, 0), 0),
        Fault("act0", "sign", (0,), 0),
        Fault("fc9", "weights", (0, 0), 0),
    ],
    ids=str,
)
def test_a_bit_that_is_not_stored_has_no_site(fault):
    graph = binary_network([4, 2, 2])
    with pytest.raises(KeyError, match="this build stores no such bit"):
        site_table(graph, make_plan(graph)).site(fault)


def test_an_address_outside_a_memory_is_refused():
    graph = binary_network([4, 2, 2])
    table = site_table(
        graph, make_plan(graph, folding={"fc0": Folding(1, 2), "fc1": Folding(1, 1)})
    )
    with pytest.raises(IndexError, match=r"^fc0.weights has 4 words of 2 bits$"):
        table.at("fc0.weights", 4, 0)


def test_padding_bits_are_counted_apart_and_carry_no_fault():
    op = MatVec([[1, 1]], IntType.bipolar1(), IntType(2), popcount=True)
    (layout,) = memory_layouts(op, Folding(1, 2), node="fc0")
    layout.parameter[0, 1] = PADDING
    table = SiteTable((layout,))
    assert (len(table), table.padding) == (1, 1)
    assert table.at("fc0.weights", 0, 1).fault is None
    assert table.table().column("node").to_pylist() == ["fc0", None]
    assert table.table().column("index0").to_pylist() == [0, None]


def test_places_that_no_probe_of_a_search_reaches_are_padding():
    values = np.arange(10).reshape(2, 5)
    op = Threshold(values, IntType(5), [1, 1], 0, IntType(3), compare=Compare.SEARCH)
    layouts = memory_layouts(op, Folding(1, 1), node="act0")
    names = [f"act0.thresholds_{stage:02}_0000" for stage in range(3)]
    assert [layout.name for layout in layouts] == names
    assert [(layout.words, layout.bits) for layout in layouts] == [(2, 5), (4, 5), (8, 5)]
    table = SiteTable(layouts)
    assert (len(table), table.padding) == (2 * 5 * 5, 2 * 2 * 5)
    step = [[table.at(name, word, 0).fault for word in range(2**s)] for s, name in enumerate(names)]
    found = [[fault and fault.index[1] for fault in row] for row in step]
    assert found == [[3], [1, None], [0, 2, 4, None]]


def test_a_parity_bit_makes_the_ones_of_its_word_even_and_has_a_site_of_its_own():
    graph = four_bit_network([6, 4, 3], signs=True)
    plan = make_plan(graph, cycles=6)
    bare, table = site_table(graph, plan), site_table(graph, replace(plan, parity=True))
    words = [layout.words for layout in bare.layouts]
    assert (len(table), table.padding, table.parity) == (len(bare), 0, sum(words))
    for before, layout in zip(bare.layouts, table.layouts, strict=True):
        image = image_bits(graph.node(layout.node).op, layout)
        assert not (image.sum(axis=1) % 2).any()
        assert image[:, -1].any()
        stored = image_bits(graph.node(before.node).op, before)
        np.testing.assert_array_equal(image[:, :-1], stored)
        site = table.at(layout.name, 0, before.bits)
        assert (site.fault, site.parity) == (None, True)
    assert [table.site(site.fault) for site in bare] == list(bare)
    assert table.digest() != bare.digest()
    uses = table.table().column("use").to_pylist()
    assert [uses.count(use) for use in ("parameter", "parity")] == [len(bare), sum(words)]


def test_constants_have_the_sites_of_memories_marked_as_configuration_bits():
    graph = four_bit_network([6, 4, 3], signs=True)
    plan = make_plan(graph, cycles=6)
    ram, rom = (site_table(graph, p) for p in (plan, replace(plan, memory_style=MemoryStyle.ROM)))
    assert [replace(site, configuration=True) for site in ram] == list(rom)
    assert not any(site.configuration for site in ram)
    assert [rom.site(site.fault) for site in rom if site.fault] == [s for s in rom if s.fault]
    assert ram.digest() != rom.digest()
    assert set(rom.table().column("storage").to_pylist()) == {"configuration"}
    assert set(ram.table().column("storage").to_pylist()) == {"memory"}
    assert rom.table().drop_columns("storage") == ram.table().drop_columns("storage")


def test_the_column_table_lists_the_same_sites():
    graph = four_bit_network([4, 2, 3], signs=True)
    table = site_table(graph, make_plan(graph, cycles=4))
    rows = table.table().to_pylist()
    assert len(rows) == len(table)
    for row, site in zip(rows, table, strict=True):
        index = tuple(i for i in (row["index0"], row["index1"]) if i is not None)
        fault = Fault(row["node"], row["parameter"], index, row["code_bit"])
        assert (row["memory"], row["word"], row["bit"], fault) == (
            site.memory,
            site.word,
            site.bit,
            site.fault,
        )


def test_the_digest_follows_the_physical_layout_only():
    one, other = four_bit_network([4, 2, 3], seed=1), four_bit_network([4, 2, 3], seed=2)
    tight, loose = make_plan(one, cycles=2), make_plan(one, cycles=8)
    assert site_table(one, tight).digest() == site_table(other, tight).digest()
    assert site_table(one, tight).digest() != site_table(one, loose).digest()
