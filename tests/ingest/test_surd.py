from decimal import Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from flow.ingest.surd import Surd

SMALL = st.fractions(min_value=-50, max_value=50, max_denominator=64)
RADICANDS = st.fractions(min_value=0, max_value=50, max_denominator=64)
SUMS = st.lists(st.tuples(SMALL, RADICANDS), max_size=4)


def total(pairs):
    result = Surd.of(0)
    for coefficient, radicand in pairs:
        result = result + Surd.root(radicand).times(coefficient)
    return result


def digits(pairs, precision=120):
    with localcontext() as context:
        context.prec = precision
        return sum(
            Decimal(q.numerator) / q.denominator * (Decimal(r.numerator) / r.denominator).sqrt()
            for q, r in pairs
        )


@given(SUMS)
def test_the_sign_is_that_of_120_digits_unless_they_are_all_0(pairs):
    value = digits(pairs)
    near = abs(value) < Decimal(10) ** -80
    assert total(pairs).sign() == (0 if near else (value > 0) - (value < 0))


@given(SUMS, st.integers(-3, 3))
def test_floor_and_ceil_enclose_the_number_tightly(pairs, shift):
    number = total(pairs) + Surd.of(shift)
    floor, ceil = number.floor(), number.ceil()
    assert (number - Surd.of(floor)).sign() >= 0
    assert (number - Surd.of(floor + 1)).sign() < 0
    assert ceil - floor == ((number - Surd.of(floor)).sign() != 0)


def test_roots_of_one_square_class_cancel_exactly():
    two, eight, half = (Surd.root(Fraction(r)) for r in ("2", "8", "1/2"))
    assert (two + eight + half).times(Fraction(2)) == two.times(Fraction(7))
    three = Surd.root(Fraction(3))
    assert (two + three + eight - two.times(Fraction(3)) - three).sign() == 0


def test_a_root_beside_its_float_is_told_apart_from_it():
    two = Surd.root(Fraction(2))
    nearest = Fraction(2**0.5)
    assert (two - Surd.of(nearest)).sign() == -1 if nearest**2 > 2 else 1
    assert two.times(Fraction(10**40)).floor() == 14142135623730950488016887242096980785696


def test_the_product_of_two_equal_roots_is_rational():
    assert Surd.root(Fraction(5, 7)).times_root(Fraction(5, 7)) == Surd.of(Fraction(5, 7))


@given(SUMS, SMALL)
def test_no_term_is_0_and_none_repeats_whatever_was_done(pairs, factor):
    number = total(pairs)
    for found in (number.times(factor), number.times(Fraction(0)), -number, number - number):
        radicands = [radicand for radicand, _ in found.terms]
        assert radicands == sorted(set(radicands))
        assert all(coefficient for _, coefficient in found.terms)
    assert (number - number).sign() == number.times(Fraction(0)).sign() == 0
