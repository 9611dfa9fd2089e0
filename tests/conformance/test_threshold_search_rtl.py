"""threshold_search.sv equals the reference, probe by probe, for thresholds in any order."""

from dataclasses import replace

import numpy as np
import pytest

from flow.ir import IntType
from flow.ops import Compare, Threshold
from flow.schedule.movers import search_stages
from sim.unit import run_unit
from tests.conformance.hls_units import any_codes, fold
from tests.conformance.rtl_units import ends, stored_case
from tests.conformance.test_threshold_rtl import inputs

# channels, lanes, accumulator, threshold, steps, base, output, signs stored, sorted
CASES = [
    (2, 1, "s14", "s15", 255, 0, "u8", False, True),
    (4, 4, "s9", "s10", 7, 0, "u3", True, True),  # one fold: the first stage has one word
    (6, 2, "s9", "s10", 4, 0, "u3", False, True),  # places behind the last threshold
    (6, 3, "s7", "s8", 6, -3, "s3", True, False),  # three folds of four places and five
    (8, 2, "u7", "u8", 1, 0, "b1", True, True),  # one stage
    (3, 1, "s8", "u4", 2, 1, "u2", False, False),  # unsigned thresholds, a signed accumulator
    (3, 3, "u8", "s5", 5, 0, "u3", False, False),  # and the other way round
    (5, 5, "u6", "u6", 15, 0, "u4", False, False),
    (4, 2, "s12", "s12", 16, 2, "u5", True, False),  # one threshold more than four stages hold
    (12, 12, "s5", "s6", 3, 0, "u2", False, True),  # lanes of two digits
]


def case(number, *, parity=False):
    """One row of the table; thresholds include both ends of their type."""
    channels, lanes, source, kind, steps, base, output, signs, ordered = CASES[number]
    source, kind = IntType.parse(source), IntType.parse(kind)
    rng = np.random.default_rng(number)
    lo, hi = ends(source)
    if ordered:
        thresholds = np.sort(rng.integers(lo, hi + 2, size=(channels, steps)), axis=1)
    else:
        thresholds = any_codes(rng, kind, (channels, steps))
    sign = rng.choice([-1, 1], channels) if signs else np.ones(channels, dtype=np.int64)
    op = Threshold(
        thresholds,
        kind,
        sign,
        base,
        IntType.parse(output),
        compare=Compare.SEARCH,
        signs_stored=signs,
    )
    x = inputs(op, source)
    x = np.concatenate([x[rng.choice(len(x), 20)], rng.integers(lo, hi + 1, (60, channels))])
    if not ordered:  # the two forms must be told apart
        assert (op.evaluate(x) != replace(op, compare=Compare.COUNT).evaluate(x)).any()
    name = f"p{number}" if parity else f"t{number}"
    sizes = {"steps": 1, "stages": search_stages(steps), "parity": parity}
    return stored_case(name, op, fold(lanes), source, x, **sizes)


@pytest.mark.rtl
def test_the_unit_equals_the_reference(simulator, compiled, tmp_path):
    cases = [case(number) for number in range(len(CASES))]
    cases += [case(number, parity=True) for number in (1, 3)]

    run_unit("threshold_search", cases, work=tmp_path, cache=compiled, simulator=simulator)
