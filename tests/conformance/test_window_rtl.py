"""window.sv equals the reference on every word, in exactly the cycles of its datasheet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import Edge, IntType
from flow.ops import Window
from sim.unit import run_unit
from tests.conformance.image_units import (
    FRAMES,
    frame_cycles,
    frames,
    geometry,
    image_case,
    window_schedule,
    words,
)

U1 = IntType.parse("u1")
# shape, lanes, type, kernel, stride, dilation, groups
CASES = [
    ((5, 6, 4), 2, "u4", (3, 3), (1, 1), (1, 1), 1),
    ((4, 4, 1), 1, "u1", (3, 3), (1, 1), (1, 1), 1),  # one beat per pixel
    ((6, 6, 6), 3, "s5", (3, 3), (2, 2), (1, 1), 1),  # a surplus row and column
    ((7, 5, 4), 2, "u8", (2, 3), (1, 2), (2, 1), 1),
    ((7, 9, 2), 1, "u3", (3, 3), (1, 1), (3, 4), 1),  # exactly one window across
    ((5, 5, 4), 4, "b1", (1, 1), (2, 2), (1, 1), 1),  # gaps between windows
    ((4, 6, 2), 2, "u63", (1, 1), (1, 1), (1, 1), 1),
    ((3, 4, 6), 2, "u4", (3, 4), (1, 1), (1, 1), 1),  # the whole image
    ((1, 1, 8), 2, "u4", (1, 1), (1, 1), (1, 1), 1),  # a vector
    ((1, 1, 1), 1, "u4", (1, 1), (1, 1), (1, 1), 1),
    ((1, 9, 3), 1, "u4", (1, 3), (1, 2), (1, 2), 1),  # one row
    ((9, 1, 2), 1, "u4", (4, 1), (3, 1), (1, 1), 1),  # one column, surplus rows
    ((5, 9, 2), 2, "u4", (1, 3), (3, 1), (1, 1), 1),  # rows apart, columns overlapping
    ((5, 7, 2), 2, "u2", (2, 2), (2, 2), (1, 1), 1),
    ((5, 6, 8), 2, "u4", (3, 3), (1, 1), (1, 1), 2),  # grouped
    ((5, 4, 6), 2, "s3", (2, 3), (2, 1), (1, 1), 3),  # as depthwise takes it
    ((5, 4, 4), 1, "u4", (3, 2), (1, 1), (1, 1), 4),
]


def in_order(y, groups):
    """Windows of shape (..., kh * kw, channels) with the groups outermost."""
    split = y.reshape(*y.shape[:-1], groups, -1)
    return np.moveaxis(split, -2, -3)


def case(number):
    """One row of the table."""
    shape, lanes, kind, kernel, stride, dilation, groups = CASES[number]
    op, kind = Window(kernel, stride, dilation), IntType.parse(kind)
    x = frames(kind, shape, seed=number)
    taps = op.evaluate(x).reshape(-1, kernel[0] * kernel[1], shape[-1])
    given = geometry(shape, lanes, Kernel=kernel, Stride=stride, Dilation=dilation)
    return image_case(
        f"w{number}",
        op,
        kind,
        x,
        lanes=lanes,
        parameters={**given, "Bits": kind.bits, "Groups": groups},
        outputs=words(in_order(taps, groups), kind, lanes),
        schedule=window_schedule(shape, lanes, op),
    )


@pytest.mark.rtl
def test_the_unit_equals_the_reference(simulator, compiled, tmp_path):
    cases = [case(number) for number in range(len(CASES))]

    run_unit("window", cases, work=tmp_path, cache=compiled, simulator=simulator)


@st.composite
def windows(draw):
    """Any window that fits, of any stride and dilation, on a small image."""
    kernel, stride = (draw(st.tuples(*[st.integers(1, top)] * 2)) for top in (4, 5))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    shape = [span + draw(st.integers(0, 9)) for span in spans]
    return (*shape, draw(st.integers(1, 3))), Window(kernel, stride, dilation)


@settings(max_examples=300)
@given(windows())
def test_the_buffer_is_deep_enough_for_one_frame_after_the_other(drawn):
    shape, op = drawn

    due = np.reshape(window_schedule(shape, 1, op), (FRAMES, -1))

    np.testing.assert_array_equal(due[-1] - due[-2], frame_cycles(op, 1, Edge(shape, U1)))
