"""pad.sv equals the reference, a word in every cycle."""

import numpy as np
import pytest

from flow.ir import IntType
from flow.ops import Pad
from sim.unit import run_unit
from tests.conformance.image_units import frames, geometry, image_case, words

# shape, lanes, type, margins, value
CASES = [
    ((3, 4, 4), 2, "u4", (1, 1, 1, 1), 0),
    ((3, 4, 4), 2, "s4", (1, 2, 3, 0), -5),
    ((2, 2, 3), 1, "b1", (0, 1, 1, 0), -1),
    ((2, 3, 2), 2, "b1", (1, 0, 0, 2), 1),
    ((1, 1, 1), 1, "u1", (2, 3, 1, 4), 1),
    ((1, 1, 6), 3, "u63", (0, 0, 0, 1), 9),
    ((3, 3, 2), 1, "u8", (0, 0, 0, 0), 0),
    ((2, 1, 4), 4, "u8", (5, 0, 0, 0), 255),
]


def case(number):
    """One row of the table."""
    shape, lanes, kind, margins, value = CASES[number]
    op, kind = Pad(margins, value), IntType.parse(kind)
    x = frames(kind, shape, seed=number)
    outputs = words(op.evaluate(x), kind, lanes)
    sides = dict(zip(("Top", "Bottom", "Left", "Right"), margins, strict=True))
    code = int(kind.encode(np.array(value)))
    return image_case(
        f"p{number}",
        op,
        kind,
        x,
        lanes=lanes,
        parameters={**geometry(shape, lanes), "Bits": kind.bits, **sides, "Value": code},
        outputs=outputs,
        schedule=range(1, len(outputs) + 1),
    )


@pytest.mark.rtl
def test_the_unit_equals_the_reference(simulator, compiled, tmp_path):
    cases = [case(number) for number in range(len(CASES))]

    run_unit("pad", cases, work=tmp_path, cache=compiled, simulator=simulator)
