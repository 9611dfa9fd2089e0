"""Sampling covers every kind of stored bit, and its lists survive the disk."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.build.sites import site_table
from flow.campaign import (
    FaultList,
    Single,
    draw_faults,
    load_faults,
    save_faults,
    strata,
)
from flow.campaign.sample import allocate, sample_bits
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Fault
from flow.schedule import make_plan
from tests.campaign.campaigns import binary_network, four_bit_network, generator
from tests.engine.chains import chains


def sample_faults(graph, count, *, rng, minimum=2):
    bits = StoredBits.of(graph)
    return tuple(map(bits.fault, sample_bits(bits, count, rng=rng, minimum=minimum).tolist()))


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(0, 99), st.integers(1, 5), st.floats(0, 1))
def test_every_bit_position_of_every_parameter_is_drawn(graph, seed, minimum, share):
    count = int(share * len(StoredBits.of(graph)))
    faults = sample_faults(graph, count, rng=generator(seed), minimum=minimum)
    assert len(faults) == len(set(faults)) >= count
    groups = strata(graph)
    drawn = Counter((f.node, f.parameter, f.bit) for f in faults)
    assert set(drawn) == {(s.node, s.parameter, s.bit) for s in groups}
    assert all(drawn[s.node, s.parameter, s.bit] >= min(minimum, s.size) for s in groups)
    assert sum(s.size for s in groups) == len(StoredBits.of(graph))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=9), st.integers(1, 9), st.floats(0, 1))
def test_the_allocation_is_exact_and_proportional(sizes, minimum, share):
    count = int(share * sum(sizes))
    drawn = allocate(sizes, count=count, minimum=minimum)
    floor = np.minimum(sizes, minimum)
    assert drawn.sum() == max(count, floor.sum())
    assert (drawn >= floor).all()
    assert (drawn <= sizes).all()
    exact = max(0, count - floor.sum()) * (sizes - floor) / max(1, (sizes - floor).sum())
    assert (abs(drawn - floor - exact) < 1).all()


@pytest.mark.parametrize("make", [binary_network, four_bit_network])
def test_sign_bits_and_every_memory_of_a_build_are_drawn(make):
    graph = make((8, 6, 4, 3), signs=True)
    faults = sample_faults(graph, 100, rng=generator())
    table = site_table(graph, make_plan(graph))
    assert {table.site(f).memory for f in faults} == {layout.name for layout in table.layouts}
    kinds = {(f.node, f.parameter) for f in faults}
    assert {("act0", "sign"), ("act1", "sign"), ("act0", "thresholds")} <= kinds
    assert {("fc0", "weights"), ("fc1", "weights"), ("fc2", "weights")} <= kinds


def test_the_same_seed_draws_the_same_faults_and_another_seed_others():
    graph = four_bit_network((8, 6, 3))
    first, again, other = (sample_faults(graph, 80, rng=generator(s)) for s in (1, 1, 2))
    assert first == again != other


def test_all_stored_bits_can_be_drawn_but_no_more():
    graph = binary_network((4, 3, 2))
    bits = StoredBits.of(graph)
    assert sample_faults(graph, len(bits), rng=generator()) == tuple(bits)
    with pytest.raises(InputError, match=f"the graph has {len(bits)} such bits; ask for fewer"):
        sample_faults(graph, len(bits) + 1, rng=generator())


def drawn_list(graph):
    return draw_faults(graph, Single(count=50, per_stratum=2), rng=generator())


def test_a_list_read_back_is_the_list_written(tmp_path):
    graph = binary_network((8, 6, 3), signs=True)
    faults = drawn_list(graph)
    save_faults(faults, tmp_path / "faults.parquet")
    again = load_faults(tmp_path / "faults.parquet", graph=graph)
    assert (tuple(again), again.digest) == (tuple(faults), faults.digest)
    rows = pq.read_table(tmp_path / "faults.parquet").to_pylist()
    assert round(sum(row["weight"] for row in rows)) == len(StoredBits.of(graph))
    assert {row["memory"] for row in rows} == {"fc0.weights", "act0.thresholds", "fc1.weights"}


def test_a_list_of_another_graph_is_refused(tmp_path):
    graph = binary_network((8, 6, 3))
    save_faults(drawn_list(graph), tmp_path / "faults.parquet")
    with pytest.raises(InputError, match="drawn for another graph than 'net'"):
        load_faults(tmp_path / "faults.parquet", graph=binary_network((8, 6, 3), seed=1))


def test_a_changed_list_is_refused(tmp_path):
    graph, path = binary_network((8, 6, 3)), tmp_path / "faults.parquet"
    save_faults(drawn_list(graph), path)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 40), path)
    with pytest.raises(InputError, match="damaged"):
        load_faults(path, graph=graph)
    moved = [*table["index"].to_pylist()[:-1], [2, 4]]
    index = pa.array(moved, table.schema.field("index").type)
    assert not index.equals(table["index"].combine_chunks())
    at = table.schema.get_field_index("index")
    pq.write_table(table.set_column(at, table.schema.field("index"), index), path)
    with pytest.raises(InputError, match="damaged"):
        load_faults(path, graph=graph)
    weights = pa.array([1.0] * len(table))
    at = table.schema.get_field_index("weight")
    pq.write_table(table.set_column(at, table.schema.field("weight"), weights), path)
    with pytest.raises(InputError, match="digest differs"):
        load_faults(path, graph=graph)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="not a fault list"):
        load_faults(path, graph=graph)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(InputError, match="not a fault list"):
        load_faults(path, graph=graph)


def test_a_fault_listed_twice_is_refused():
    fault = Fault("fc0", "weights", (0, 0), 0)
    with pytest.raises(InputError, match="listed twice"):
        FaultList.of(binary_network((4, 3, 2)), [(fault,), (fault,)])
