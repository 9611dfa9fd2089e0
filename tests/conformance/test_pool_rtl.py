"""maxpool.sv and sumpool.sv equal the reference, windows apart and overlapping."""

import numpy as np
import pytest

from flow.ir import Edge, IntType
from flow.ops import MaxPool, SumPool
from sim.unit import run_unit
from tests.conformance.image_units import (
    FRAMES,
    as_window,
    frames,
    geometry,
    image_case,
    kind_number,
    window_schedule,
    words,
)

# shape, lanes, input, accumulator, kernel, stride, dilation (largest value only)
CASES = [
    ((4, 6, 4), 2, "u4", "u6", (2, 2), (2, 2), (1, 1)),
    ((5, 7, 2), 2, "s4", "s6", (2, 2), (2, 2), (1, 1)),  # a surplus row and column, one beat
    ((7, 5, 3), 1, "u3", "u4", (2, 1), (3, 2), (1, 1)),  # gaps; the sum wraps
    ((4, 4, 6), 3, "b1", "s6", (2, 2), (2, 2), (1, 1)),
    ((3, 5, 4), 2, "s5", "s9", (3, 5), (1, 1), (1, 1)),  # the whole image
    ((6, 1, 2), 1, "u8", "u9", (6, 1), (6, 1), (1, 1)),
    ((1, 1, 3), 3, "u5", "u5", (1, 1), (1, 1), (1, 1)),
    ((5, 6, 4), 2, "s4", "s8", (3, 3), (2, 2), (1, 1)),  # overlapping
    ((6, 5, 2), 1, "b1", "s4", (3, 2), (1, 1), (1, 1)),
    ((7, 7, 2), 2, "u4", "u8", (2, 3), (2, 2), (3, 2)),
    ((4, 5, 2), 1, "u40", "u42", (2, 2), (2, 1), (1, 1)),  # apart along one axis only
    ((5, 4, 2), 1, "s3", "s6", (3, 2), (1, 2), (1, 1)),
]


def all_apart(shape, op):
    """Whether pool.sv accumulates without a window buffer."""
    window = as_window(op)
    reach = [
        range(0, size - k + 1, s)
        for size, k, s in zip(shape[:2], op.kernel, op.stride, strict=True)
    ]
    return window.dilation == (1, 1) and all(
        len(starts) == 1 or starts.step >= k for starts, k in zip(reach, op.kernel, strict=True)
    )


def schedule(shape, lanes, op):
    """Two cycles after a window's last word came in, or came out of the window buffer."""
    window, beats = as_window(op), shape[-1] // lanes
    taps = window.kernel[0] * window.kernel[1]
    if not all_apart(shape, op):
        return [cycle + 2 for cycle in window_schedule(shape, lanes, window)[taps - 1 :: taps]]
    place = np.arange(FRAMES * shape[0] * shape[1] * beats).reshape(FRAMES, *shape[:2], beats)
    lasts = MaxPool(op.kernel, op.stride).evaluate(place)
    return [int(last) + 2 for last in lasts.ravel()]


def case(number, *, largest):
    """One row of the table as the one unit or the other; both with the row's dilation."""
    shape, lanes, kind, accumulator, kernel, stride, dilation = CASES[number]
    kind, accumulator = IntType.parse(kind), IntType.parse(accumulator)
    op = MaxPool(kernel, stride, dilation) if largest else SumPool(kernel, stride, accumulator)
    x = frames(kind, shape, seed=number)
    given = geometry(shape, lanes, Kernel=kernel, Stride=stride)
    given |= {"InBits": kind.bits, "InKind": kind_number(kind)}
    if largest:
        given |= {"DilationH": dilation[0], "DilationW": dilation[1]}
    else:
        given |= {"AccBits": accumulator.bits}
    out = op.out_type(Edge(shape, kind)).type
    return image_case(
        f"p{number}",
        op,
        kind,
        x,
        lanes=lanes,
        parameters=given,
        outputs=words(op.evaluate(x), out, lanes),
        schedule=schedule(shape, lanes, op),
        taps=kernel[0] * kernel[1],
    )


@pytest.mark.rtl
@pytest.mark.parametrize("unit", ["maxpool", "sumpool"])
def test_the_unit_equals_the_reference(unit, simulator, compiled, tmp_path):
    cases = [case(number, largest=unit == "maxpool") for number in range(len(CASES))]

    run_unit(unit, cases, work=tmp_path, cache=compiled, simulator=simulator)


def test_the_cases_have_both_ways_of_pooling():
    ways = [all_apart(shape, MaxPool(*op)) for shape, _, _, _, *op in CASES]

    assert ways.count(True) >= 4
    assert ways.count(False) >= 3
