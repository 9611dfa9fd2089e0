from fractions import Fraction
from math import ceil, floor, isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ingest.invert import invert
from flow.ingest.quantizer import Quantizer
from flow.ingest.rounding import Rounding
from flow.ingest.steps import Affine, Clip, Leaky, Normalise
from flow.ir import IntType
from flow.ops import Threshold

CHANNELS = 2
LOW, HIGH = -12, 13

# The direct evaluation below holds a number as a centre known to 2^-900. Every number it is
# compared with is rational; the numbers of a chain with at most two roots are algebraic of degree
# four at most with coefficients of some hundred bits, so that they are equal to a rational of the
# chain or farther from it than 2^-400: what is nearer is a tie, exactly.
BITS, NEAR = 1000, Fraction(1, 1 << 450)


def root(value):
    return Fraction(isqrt((value.numerator << (2 * BITS)) // value.denominator), 1 << BITS)


def pick(values, channel):
    return values[channel] if len(values) > 1 else values[0]


def direct(steps, value, channel):
    value = Fraction(value)
    for step in steps:
        match step:
            case Affine(scale, offset):
                value = pick(scale, channel) * value + pick(offset, channel)
            case Normalise(gamma, beta, mean, variance):
                centred = value - pick(mean, channel)
                slope = pick(gamma, channel) / root(pick(variance, channel))
                value = slope * centred + pick(beta, channel)
            case Clip(low, high):
                value = value if low is None else max(value, low)
                value = value if high is None else min(value, high)
            case Leaky(slope):
                value = value if value >= 0 else slope * value
    return value


def tied(value):
    """A number next to a multiple of one half is that multiple."""
    half = Fraction(round(2 * value), 2)
    return half if abs(value - half) < NEAR else value


def direct_code(quantizer, value, channel):
    if quantizer.bipolar:
        return int(tied(value) >= 0)
    ratio = value / pick(quantizer.scale, channel) + pick(quantizer.zero_point, channel)
    ratio = tied(ratio)
    up = ceil(abs(ratio)) if ratio >= 0 else -ceil(abs(ratio))
    down = floor(abs(ratio)) if ratio >= 0 else -floor(abs(ratio))
    side = 1 if ratio >= 0 else -1
    code = {
        Rounding.HALF_EVEN: round(ratio),
        Rounding.HALF_UP: side * floor(abs(ratio) + Fraction(1, 2)),
        Rounding.HALF_DOWN: side * ceil(abs(ratio) - Fraction(1, 2)),
        Rounding.CEIL: ceil(ratio),
        Rounding.FLOOR: floor(ratio),
        Rounding.UP: up,
        Rounding.DOWN: down,
    }[quantizer.rounding]
    return min(max(code, quantizer.low), quantizer.high)


NUMBERS = st.one_of(
    st.sampled_from([Fraction(n, 4) for n in range(-12, 13)]),  # ties happen here
    st.floats(-4, 4, width=32).map(Fraction),
    st.sampled_from([Fraction(0), Fraction(1, 1 << 40), Fraction(-1, 1 << 40)]),
)
POSITIVE = st.one_of(
    st.sampled_from([Fraction(n, 4) for n in range(1, 13)]),
    st.floats(2**-8, 4, width=32).map(Fraction),
)
VARIANCES = st.one_of(st.sampled_from([Fraction(1), Fraction(9, 4)]), POSITIVE)


def columns(elements):
    return st.one_of(
        st.tuples(elements), st.lists(elements, min_size=CHANNELS, max_size=CHANNELS).map(tuple)
    )


NORMALISE = st.builds(
    Normalise, columns(NUMBERS), columns(NUMBERS), columns(NUMBERS), columns(VARIANCES)
)
STEPS = st.one_of(
    st.builds(Affine, columns(NUMBERS), columns(NUMBERS)),
    st.builds(Clip, st.none() | NUMBERS, st.none() | NUMBERS),
    st.builds(Leaky, st.sampled_from([Fraction(0), Fraction(1, 8), Fraction(0.1), Fraction(3)])),
)
CHAINS = st.tuples(
    st.lists(STEPS, max_size=2),
    st.lists(NORMALISE, max_size=1),
    st.lists(STEPS, max_size=2),
    st.lists(NORMALISE, max_size=1),
    st.lists(STEPS, max_size=1),
).map(lambda parts: [step for part in parts for step in part])
CODES = st.sampled_from([(0, 1), (0, 3), (0, 7), (-2, 1), (-3, 3), (-4, 3)])


@st.composite
def quantizers(draw):
    if draw(st.integers(0, 3)) == 0:
        return Quantizer(draw(columns(POSITIVE)), (Fraction(0),), 0, 1, bipolar=True)
    low, high = draw(CODES)
    zero = draw(columns(st.sampled_from([Fraction(0), Fraction(1), Fraction(1, 2)])))
    return Quantizer(draw(columns(POSITIVE)), zero, low, high, draw(st.sampled_from(Rounding)))


def levels(thresholds, sign, quantizer):
    op = Threshold(
        thresholds,
        IntType.holding(LOW, HIGH + 1),
        sign,
        0,
        IntType.holding(0, max(quantizer.steps, 1)),
        signs_stored=True,
    )
    x = np.arange(LOW, HIGH + 1)[:, None].repeat(CHANNELS, axis=1)
    return op.evaluate(x) + quantizer.low


@settings(max_examples=150, deadline=None)  # exact arithmetic on a busy machine takes its time
@given(CHAINS, quantizers())
def test_thresholds_are_the_chain_on_every_integer_of_every_channel(steps, quantizer):
    thresholds, sign = invert(steps, quantizer, channels=CHANNELS, low=LOW, high=HIGH)
    found = levels(thresholds, sign, quantizer)
    expected = [
        [direct_code(quantizer, direct(steps, x, c), c) for c in range(CHANNELS)]
        for x in range(LOW, HIGH + 1)
    ]
    assert found.tolist() == expected
    assert (np.diff(thresholds, axis=1) >= 0).all()
    assert thresholds.min() >= LOW
    assert thresholds.max() <= HIGH + 1


@pytest.mark.parametrize("slope", [Fraction(1, 1 << 60), Fraction(-1, 1 << 60), Fraction(0)])
@pytest.mark.parametrize("offset", [Fraction(-1), Fraction(0), Fraction(1)])
def test_a_channel_that_hardly_moves_is_constant_or_turns_at_0(slope, offset):
    quantizer = Quantizer((Fraction(1),), (Fraction(0),), 0, 1, bipolar=True)
    step = Affine((slope,), (offset,))
    thresholds, sign = invert([step], quantizer, channels=1, low=-5, high=5)
    level = 1 if sign[0] > 0 else 0
    found = [(level if x >= thresholds[0, 0] else 1 - level) for x in range(-5, 6)]
    assert found == [int(slope * x + offset >= 0) for x in range(-5, 6)]
    if offset:
        assert thresholds[0, 0] in (-5, 6)


def test_ties_go_to_the_even_code():
    quantizer = Quantizer((Fraction(2),), (Fraction(0),), 0, 7)
    thresholds, sign = invert([], quantizer, channels=1, low=0, high=20)
    assert thresholds.tolist() == [[2, 3, 6, 7, 10, 11, 14]]
    assert sign.tolist() == [1]


def test_a_falling_channel_counts_from_the_top():
    quantizer = Quantizer((Fraction(1),), (Fraction(0),), 0, 3)
    step = Affine((Fraction(-1),), (Fraction(3),))
    thresholds, sign = invert([step], quantizer, channels=1, low=-9, high=9)
    assert sign.tolist() == [-1]
    assert thresholds.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(("above", "first"), [(1, 2), (0, 3)])
def test_a_root_is_told_from_its_eighteenth_decimal(above, first):
    numerator = isqrt(2 * 10**36) + above
    quantizer = Quantizer((Fraction(1),), (Fraction(0),), 0, 1, Rounding.FLOOR)
    one, none, mean = Fraction(1), Fraction(0), 2 - Fraction(numerator, 10**18)
    step = Normalise((one,), (none,), (mean,), (Fraction(2),))  # from mean + sqrt(2) on
    thresholds, _ = invert([step], quantizer, channels=1, low=-3, high=3)
    assert thresholds.tolist() == [[first]]
