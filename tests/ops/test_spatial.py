"""Windows, padding, pooling, adds and layout, against the plainest loops that say the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import Edge, IntType
from flow.ops.add import Add
from flow.ops.layout import Concat, Reshape, Transpose
from flow.ops.pad import Pad
from flow.ops.pool import MaxPool, SumPool
from flow.ops.window import Window

U4 = IntType(4)
SMALL = st.integers(1, 3)
PAIRS = st.tuples(SMALL, SMALL)


def image(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 16, (2, height, width, channels))


def windows(x, kernel, stride, dilation):
    """Every window as a (KH, KW, C) block, by plain indexing."""
    _, height, width, _ = x.shape
    (kh, kw), (sh, sw), (dh, dw) = kernel, stride, dilation
    for top in range(0, height - dh * (kh - 1), sh):
        for left in range(0, width - dw * (kw - 1), sw):
            yield x[:, top : top + dh * (kh - 1) + 1 : dh, left : left + dw * (kw - 1) + 1 : dw]


@settings(max_examples=60)
@given(PAIRS, PAIRS, PAIRS, st.integers(0, 4), st.integers(0, 4), SMALL)
def test_windows_pools_and_types_agree_with_plain_loops(kernel, stride, dilation, dh, dw, channels):
    height = dilation[0] * (kernel[0] - 1) + 1 + dh
    width = dilation[1] * (kernel[1] - 1) + 1 + dw
    x, edge = image(height, width, channels), Edge((height, width, channels), U4)
    blocks = list(windows(x, kernel, stride, dilation))

    op = Window(kernel, stride, dilation)
    flat = np.stack([b.reshape(2, -1) for b in blocks], axis=1)
    np.testing.assert_array_equal(op.evaluate(x).reshape(flat.shape), flat)
    assert op.evaluate(x).shape[1:] == op.out_type(edge).shape

    highest = MaxPool(kernel, stride, dilation)
    expected = np.stack([b.max(axis=(1, 2)) for b in blocks], axis=1)
    np.testing.assert_array_equal(highest.evaluate(x).reshape(expected.shape), expected)
    assert highest.evaluate(x).shape[1:] == highest.out_type(edge).shape

    if dilation == (1, 1):
        total = SumPool(kernel, stride, IntType(5))
        expected = np.stack([b.sum(axis=(1, 2)) % 32 for b in blocks], axis=1)
        np.testing.assert_array_equal(total.evaluate(x).reshape(expected.shape), expected)
        assert str(total.out_type(edge).type) == "u5"


@given(st.tuples(*[st.integers(0, 2)] * 4), st.integers(0, 15))
def test_padding_surrounds_the_image_with_its_value(margins, value):
    x = image(3, 2, 2)
    top, bottom, left, right = margins
    padded = Pad(margins, value).evaluate(x)
    assert padded.shape[1:] == Pad(margins, value).out_type(Edge((3, 2, 2), U4)).shape
    np.testing.assert_array_equal(padded[:, top : top + 3, left : left + 2], x)
    assert padded.sum() == x.sum() + value * (padded.size - x.size)
    assert (bottom, right) == (padded.shape[1] - top - 3, padded.shape[2] - left - 2)


def test_padding_widens_a_declared_range():
    edge = Edge((3, 3, 1), IntType(4, declared=(2, 9)))
    assert str(Pad((1, 1, 1, 1), 0).out_type(edge).type) == "u4[0..9]"


def test_a_weighted_sum_brings_two_scales_together():
    a, b = image(2, 2, 3, seed=1), image(2, 2, 3, seed=2)
    op = Add([[3, 1, 2], [1, 1, -5]], [0, 7, 0], IntType(9, True))
    np.testing.assert_array_equal(op.evaluate(a, b), [3, 1, 2] * a + [1, 1, -5] * b + [0, 7, 0])


def test_a_sum_wraps_as_its_register_does():
    op = Add([[1], [1]], [0], IntType(4))
    assert op.evaluate(np.array([[15]]), np.array([[3]])).tolist() == [[2]]


def test_layout_ops_move_elements_and_keep_them():
    x = image(2, 3, 4)
    assert Reshape((24,)).evaluate(x).tolist() == x.reshape(2, 24).tolist()
    turned = Transpose((2, 0, 1)).evaluate(x)
    assert turned.shape == (2, 4, 2, 3)
    assert turned[1, 3, 0, 2] == x[1, 0, 2, 3]
    joined = Concat(U4).evaluate(x, x[..., :1])
    np.testing.assert_array_equal(joined[..., :4], x)
    np.testing.assert_array_equal(joined[..., 4], x[..., 0])


EDGE = Edge((3, 3, 2), U4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window((4, 1)).out_type(EDGE), "a window of 4 does not fit into 3 elements; pad"),
        (lambda: Window((0, 1)), r"kernel \(0, 1\) must be two positive integers"),
        (lambda: Window((1, 1)).out_type(Edge((3,), U4)), r"an image of shape \(height, width, c"),
        (lambda: Pad((0, 0, 0, -1), 0), r"margins \(0, 0, 0, -1\) must be four integers"),
        (lambda: Pad((1, 1, 1, 1), 16).out_type(EDGE), "the padding 16 is no value of u4"),
        (
            lambda: Pad((1, 1, 1, 1), 0).out_type(Edge((3, 3, 1), IntType.bipolar1())),
            r"a bipolar tensor cannot be padded with 0: it has no such value; pad with -1 or \+1",
        ),
        (lambda: Add([[1], [1]], [0], U4).out_type(EDGE), "2 multipliers for 1 inputs"),
        (lambda: Add([[1, 1, 1]], [0], U4).out_type(EDGE), "3 constants for 2 channels"),
        (lambda: Concat(IntType(3)).out_type(EDGE), "an input of type u4 does not fit u3"),
        (lambda: Reshape((5,)).out_type(EDGE), "18 elements of 3x3x2:u4 cannot take the shape"),
        (lambda: Transpose((0, 0, 1)).out_type(EDGE), "is no order of the axes"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
