"""The search over foldings rests on this: the least sum of tables, found by brute force too."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flow.schedule.eliminate import NEVER, Table, minimise


@st.composite
def problems(draw):
    names = [f"v{i}" for i in range(draw(st.integers(1, 5)))]
    sizes = {name: draw(st.integers(1, 4)) for name in names}
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    tables = []
    for _ in range(draw(st.integers(0, 6))):
        mine = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        cost = rng.integers(0, 50, [sizes[v] for v in mine])
        cost[rng.random(cost.shape) < 0.2] = NEVER
        tables.append(Table(tuple(mine), cost))
    return tables, sizes


@given(problems())
def test_the_choice_has_the_least_sum_there_is(problem):
    tables, sizes = problem

    def total(choice):
        return sum(int(t.cost[tuple(choice[v] for v in t.variables)]) for t in tables)

    every = [dict(zip(sizes, p, strict=True)) for p in product(*map(range, sizes.values()))]
    least = min(map(total, every))
    found, choice = minimise(tables, sizes)
    assert found == min(least, NEVER)
    assert set(choice) == set(sizes)
    if least < NEVER:
        assert total(choice) == least
