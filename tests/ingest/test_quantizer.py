from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.custom_op.general.intquant import int_quant, resolve_rounding_mode

from flow.ingest.quantizer import Quantizer, weight_codes
from flow.ingest.rounding import Rounding, round_exactly
from flow.ingest.surd import Surd

GRID = np.arange(-48, 49) / 8  # every tie and every integer among them, exact in floats


@pytest.mark.parametrize("rounding", list(Rounding))
def test_rounding_is_that_of_qonnx_at_and_between_all_ties(rounding):
    expected = resolve_rounding_mode(rounding)(GRID)
    assert [round_exactly(Fraction(v), rounding) for v in GRID] == expected.tolist()


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(("low", "high"), [(-4, 3), (-3, 3), (0, 7)])
@pytest.mark.parametrize("zero", [0, 2])
def test_codes_are_those_of_qonnx_on_numbers_floats_hold_exactly(rounding, low, high, zero):
    scale = Fraction(1, 4)
    quantizer = Quantizer((scale,), (Fraction(zero),), low, high, rounding)
    values, floats = GRID / 4, {"signed": low < 0, "narrow": low == -3}
    found = int_quant(values, 0.25, zero, np.float64(3), **floats, rounding_mode=rounding)
    codes = found / 0.25 + zero
    constant, nothing = np.array(0.25), np.array(float(zero))
    assert weight_codes(values, constant, nothing, quantizer).tolist() == codes.tolist()
    assert [quantizer.code(Surd.of(Fraction(v)), 0) for v in values] == codes.tolist()


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=8),
    st.floats(2**-6, 4, width=32),
    st.sampled_from(list(Rounding)),
)
def test_codes_of_floats_are_their_exact_quotients_rounded(values, scale, rounding):
    quantizer = Quantizer((Fraction(scale),), (Fraction(0),), -8, 7, rounding)
    exact = [round_exactly(Fraction(v) / Fraction(scale), rounding) for v in values]
    array = np.array(values, dtype=np.float32)
    codes = weight_codes(array, np.array(scale, dtype=np.float32), np.zeros(()), quantizer)
    assert codes.tolist() == [min(max(code, -8), 7) for code in exact]


def test_a_quotient_that_float32_rounds_to_a_tie_is_decided_before_the_rounding():
    scale = np.float32(0.1)
    value = np.float32(0.25)  # 0.25 / 0.1f is just below 2.5, and 2.5 in float32
    assert np.float32(value / scale) == 2.5
    quantizer = Quantizer((Fraction(float(scale)),), (Fraction(0),), 0, 7, Rounding.HALF_UP)
    assert weight_codes(np.array([value]), np.array(scale), np.zeros(()), quantizer) == [2]


def test_bipolar_codes_are_signs_and_0_is_positive():
    quantizer = Quantizer((Fraction(1),), (Fraction(0),), 0, 1, bipolar=True)
    values = np.array([-1e-38, 0.0, -0.0, 3.0])
    assert weight_codes(values, np.ones(()), np.zeros(()), quantizer).tolist() == [-1, 1, 1, 1]


def test_types_hold_the_codes_and_declare_a_narrow_range():
    one, none = (Fraction(1),), (Fraction(0),)
    assert str(Quantizer(one, none, -7, 7).type) == "s4[-7..7]"
    assert str(Quantizer(one, none, 0, 15).type) == "u4"
    assert str(Quantizer(one, none, 0, 14).type) == "u4[0..14]"
