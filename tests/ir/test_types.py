"""Integer types: ranges, codes and the way they print."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.ir import IntType

TYPES = st.one_of(
    st.just(IntType.bipolar1()),
    st.builds(IntType, st.integers(1, 40), st.booleans()),
)


@given(TYPES)
def test_text_is_read_back(kind):
    assert IntType.parse(str(kind)) == kind


def test_a_declared_range_prints_and_is_read_back():
    assert IntType.parse("u5[0..16]") == IntType(5, declared=(0, 16))


@given(TYPES, st.data())
def test_every_code_decodes_to_a_value_that_encodes_to_it(kind, data):
    codes = np.array(data.draw(st.lists(st.integers(0, 2**kind.bits - 1), min_size=1)))
    values = kind.decode(codes)
    assert kind.code_lo <= values.min() <= values.max() <= kind.code_hi
    np.testing.assert_array_equal(kind.encode(values), codes)


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40))
def test_holding_is_the_narrowest_type(lo, span):
    kind = IntType.holding(lo, lo + span)
    assert kind.code_lo <= lo <= lo + span <= kind.code_hi
    if kind.bits > 1:
        narrower = IntType(kind.bits - 1, kind.signed)
        assert lo < narrower.code_lo or lo + span > narrower.code_hi


@pytest.mark.parametrize(("value", "wrapped"), [(7, 7), (8, -8), (-9, 7), (16, 0), (-17, -1)])
def test_a_signed_register_keeps_the_low_bits(value, wrapped):
    assert IntType(4, True).wrap(np.array([value])).tolist() == [wrapped]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntType(0), "an integer type has 1 to 63 bits, not 0"),
        (lambda: IntType(2, bipolar=True), "a bipolar type has one bit and no sign"),
        (lambda: IntType(4, declared=(0, 16)), r"declared 0\.\.16 leaves 0\.\.15 of 4 bits"),
        (lambda: IntType.holding(3, 2), "empty range: lo=3 is above hi=2"),
        (lambda: IntType.parse("f32"), "'f32' is no integer type; write u8, s4, b1"),
        (lambda: IntType.bipolar1().encode(np.array([0])), "bipolar values are -1 or \\+1"),
        (lambda: IntType(4).encode(np.array([16])), r"values 16\.\.16 do not fit u4"),
    ],
)
def test_impossible_types_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
