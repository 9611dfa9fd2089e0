from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import ClaimError
from flow.schedule import Folding, fifo_depths, interval, make_plan, simulate_tokens
from tests.schedule.networks import binary_network, networks


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(1, 100))
def test_planned_depths_keep_the_promised_interval(graph, target):
    plan = make_plan(graph, cycles=target)
    timing = simulate_tokens(graph, plan.folding, plan.fifo_depth, images=16)
    steps = {after - before for before, after in pairwise(timing.taken)}
    assert steps == {interval(graph, plan.folding)}
    assert all(timing.high_water[edge] <= depth for edge, depth in plan.fifo_depth.items())


def test_a_fifo_too_shallow_misses_the_interval():
    graph = binary_network([4, 32, 32, 2])
    folding = {"fc0": Folding(2, 4), "fc1": Folding(32, 2), "fc2": Folding(2, 32)}
    depths = fifo_depths(graph, folding)
    assert simulate_tokens(graph, folding, depths).interval == interval(graph, folding)
    starved = dict.fromkeys(depths, 1)
    assert simulate_tokens(graph, folding, starved).interval > interval(graph, folding)


def test_a_deadlock_is_reported():
    graph = binary_network([4, 4, 2])
    folding = {"fc0": Folding(2, 2), "fc1": Folding(2, 2)}
    with pytest.raises(ClaimError, match=r"no result for \d+ cycles: deadlock"):
        simulate_tokens(graph, folding, {"act0_fifo": 0})
