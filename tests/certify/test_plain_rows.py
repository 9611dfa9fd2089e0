"""A row's sums under flips, as the checker divides them, equal those of trying every division."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify.plain_rows import Seen, Weight, largest

COLUMNS = 3


@st.composite
def rows(draw):
    """A row, what it sees under up to so many flips, wider with each, and the units."""
    flips = draw(st.integers(1, 3))
    small = st.integers(-4, 4)
    kinds = [Weight(draw(small), tuple(draw(st.lists(small, max_size=3)))) for _ in range(2)]
    row = [kinds[draw(st.integers(0, 1))] for _ in range(COLUMNS)]  # shared, as in a layer
    table = [[[(0, 0)] * COLUMNS for _ in range(flips + 1 - r)] for r in range(flips + 1)]
    for column in range(COLUMNS):
        low = draw(small)
        own = [(low, low + draw(st.integers(0, 1)))]
        for _ in range(flips):
            own.append((own[-1][0] - draw(st.integers(0, 2)), own[-1][1] + draw(st.integers(0, 2))))
        wider = 0
        for r in range(flips + 1):
            for s in range(flips + 1 - r):
                table[r][s][column] = own[s][0] - wider, own[s][1] + wider
            wider += draw(st.integers(0, 1))
    unit = draw(st.sampled_from([(0, 1, 2), (0, 0, 1), (0, 0, 0)]))
    return row, table, unit, flips


def top(value, ends):
    return max(value * end for end in ends)


def shares(places, flips):
    """Every way to give so many flips at most to ``places`` places."""
    return [own for own in product(range(flips + 1), repeat=places) if sum(own) <= flips]


def moved(weight, x, flips):
    """The most that flips of distinct bits of a weight add to its product with ``x``."""
    count = min(flips, len(weight.steps))
    chosen = (some for k in range(count + 1) for some in combinations(weight.steps, k))
    return max(sum(step * x for step in steps) for steps in chosen)


def arriving(row, table, unit, q):
    return max(
        sum(top(w.value, table[r][own[unit[c]]][c]) for c, w in enumerate(row))
        for r in range(q + 1)
        for own in shares(max(unit) + 1, q - r)
    )


def by_hand(row, table, unit, q, flips):
    """The bound with q flips before the row and so many in it, by trying every division."""
    box = [
        tuple(
            pick(table[r][q - r][c][end] for r in range(q + 1))
            for end, pick in ((0, min), (1, max))
        )
        for c in range(COLUMNS)
    ]
    reach = arriving(row, table, unit, q)
    apart = max(
        sum(
            max(moved(w, x, own) for x in ends) for w, ends, own in zip(row, box, each, strict=True)
        )
        for each in shares(COLUMNS, flips)
    )
    together = max(
        sum(
            max(w.value * x + moved(w, x, own) for x in ends)
            for w, ends, own in zip(row, box, each, strict=True)
        )
        for each in shares(COLUMNS, flips)
    )
    return min(reach + apart, together) if flips else reach


@settings(max_examples=80, deadline=None)
@given(rows())
def test_the_largest_sums_are_those_of_the_best_division(case):
    row, table, unit, flips = case
    found = largest(row, Seen.of(table, unit), flips)
    for q in range(flips + 1):
        for own in range(flips - q + 1):
            struck = own if any(weight.steps for weight in row) else 0
            want = by_hand(row, table, unit, q, struck)
            assert found[q][own] == want
