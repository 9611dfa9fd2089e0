"""threshold.sv equals the reference at, below and above every threshold."""

import numpy as np
import pytest

from flow.ir import IntType
from flow.ops import Threshold
from sim.unit import run_unit
from tests.conformance.hls_units import fold
from tests.conformance.rtl_units import ends, stored_case

STAGES = 4  # thresholds read, registered, compared, counted

# channels, lanes, accumulator, threshold, steps, base, output, signs stored
CASES = [
    (4, 1, "s9", "s10", 3, 0, "u2", False),
    (6, 2, "s9", "s10", 3, 0, "u2", True),
    (6, 6, "s9", "s10", 7, 0, "u3", False),
    (8, 4, "u7", "u8", 1, 0, "b1", False),  # after XNOR
    (8, 2, "u7", "u8", 1, 0, "b1", True),
    (4, 2, "s12", "s13", 15, 0, "u4", True),
    (6, 3, "s6", "s7", 6, -3, "s3", True),  # not 2^n - 1 steps, signed levels
    (3, 1, "s8", "u4", 2, 1, "u2", False),  # unsigned thresholds, a signed accumulator
    (3, 3, "u8", "s5", 2, 0, "u2", False),  # and the other way round
    (3, 1, "s4", "u4", 2, 0, "u2", False),  # of the same width
    (1, 1, "s5", "s6", 1, 0, "u1", False),
]


def inputs(op, source):
    """Every threshold met exactly and missed by one, both extremes, and random values."""
    lo, hi = ends(source)
    channels = op.thresholds.shape[0]
    near = [op.thresholds.T + step for step in (-1, 0, 1)]
    extremes = np.full((2, channels), [[lo], [hi]])
    noise = np.random.default_rng(1).integers(lo, hi + 1, size=(3, channels))
    x = np.concatenate([*near, extremes, noise])
    return np.clip(x, lo, hi)


def case(number, *, parity=False):
    """One row of the table; thresholds include both ends of their type."""
    channels, lanes, source, kind, steps, base, output, signs = CASES[number]
    source, kind = IntType.parse(source), IntType.parse(kind)
    rng = np.random.default_rng(number)
    lo, hi = ends(source)
    thresholds = np.clip(rng.integers(lo, hi + 2, size=(channels, steps)), *ends(kind))
    thresholds[0, 0], thresholds[-1, -1] = ends(kind)
    sign = rng.choice([-1, 1], channels) if signs else np.ones(channels, dtype=np.int64)
    op = Threshold(
        np.sort(thresholds, axis=1), kind, sign, base, IntType.parse(output), signs_stored=signs
    )
    x = inputs(op, source)
    name = f"p{number}" if parity else f"t{number}"
    sizes = {"steps": 1, "stages": STAGES, "parity": parity}
    return stored_case(name, op, fold(lanes), source, x, **sizes)


@pytest.mark.rtl
def test_the_unit_equals_the_reference(simulator, compiled, tmp_path):
    cases = [case(number) for number in range(len(CASES))]
    cases += [case(number, parity=True) for number in (1, 4)]

    run_unit("threshold", cases, work=tmp_path, cache=compiled, simulator=simulator)
