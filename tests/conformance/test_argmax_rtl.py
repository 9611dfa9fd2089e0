"""argmax.sv equals the reference, the smallest index on every tie."""

import numpy as np
import pytest

from flow.ir import Edge, IntType
from flow.ops import ArgMax
from sim.unit import run_unit
from sim.vectors import Case
from tests.conformance.hls_units import beats, fold
from tests.conformance.rtl_units import ends, unit_parameters

CASES = [
    (10, 1, "s12"),
    (10, 2, "s5"),
    (10, 10, "u7"),
    (6, 3, "u3"),
    (2, 1, "s2"),
    (1, 1, "s4"),
    (6, 2, "u1"),
    (6, 3, "s1"),
]  # classes, lanes, logits


def logits(classes, kind):
    """Random vectors, ascending, descending, all equal, and every pair tied for the lead."""
    lo, hi = ends(kind)
    rng = np.random.default_rng(0)
    rows = [rng.integers(lo, hi + 1, classes) for _ in range(6)]
    rows += [np.full(classes, value) for value in (lo, hi, -1 if kind.signed else 0)]
    ramp = np.linspace(lo, hi, classes).astype(np.int64)
    rows += [ramp, ramp[::-1]]
    for first in range(classes):
        for second in range(first + 1, min(classes, first + 4)):
            row = rng.integers(lo, hi, classes)
            row[[first, second]] = hi
            rows.append(row)
    return np.stack(rows)


def case(number):
    """One row of the table."""
    classes, lanes, kind = CASES[number]
    kind = IntType.parse(kind)
    x = logits(classes, kind)
    edge = Edge((classes,), kind)
    op = ArgMax()
    span = classes * kind.bits
    packed = beats(kind.encode(x), classes, kind.bits)
    return Case(
        name=f"a{number}",
        parameters=unit_parameters(op, fold(lanes), "unit", edge),
        in_bits=lanes * kind.bits,
        out_bits=op.out_type(edge).type.bits + span,
        inputs=tuple(beats(kind.encode(x), lanes, kind.bits)),
        outputs=tuple(
            int(chosen) << span | row for chosen, row in zip(op.evaluate(x), packed, strict=True)
        ),
        vector=classes // lanes,
        steps=classes // lanes,
        stages=1 + (lanes - 1).bit_length(),
    )


@pytest.mark.rtl
def test_the_unit_equals_the_reference(simulator, compiled, tmp_path):
    cases = [case(number) for number in range(len(CASES))]

    run_unit("argmax", cases, work=tmp_path, cache=compiled, simulator=simulator)
