"""The steps of a monotone chain between an integer and the next quantizer, and their inversion.

A *bound* asks of a real number ``y >= t`` or ``y > t`` (or ``<=``, ``<`` after a negative slope).
Pulling it back through a step gives the bound that the step's input must meet for the same answer;
``ALWAYS`` and ``NEVER`` where the input no longer matters. ``forward`` is the step itself.
Everything is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import singledispatch

from flow.ingest.rounding import Rounding, reaches, round_surd
from flow.ingest.surd import Surd


class Fixed(Enum):
    """A bound whose answer does not depend on the input."""

    ALWAYS = "always"
    NEVER = "never"


ALWAYS, NEVER = Fixed.ALWAYS, Fixed.NEVER


@dataclass(frozen=True, slots=True)
class Bound:
    """``y >= at`` (``y > at`` if ``strict``); with ``above`` false ``y <= at`` (``y < at``)."""

    at: Surd
    strict: bool = False
    above: bool = True

    def met_by(self, value: Surd) -> bool:
        """Whether a number meets the bound."""
        side = (value - self.at).sign()
        return (side == 0 and not self.strict) or side == (1 if self.above else -1)


Answer = Bound | Fixed


@dataclass(frozen=True, slots=True)
class Affine:
    """``y[c] = scale[c] * x + offset[c]``; one entry serves every channel."""

    scale: tuple[Fraction, ...]
    offset: tuple[Fraction, ...] = (Fraction(0),)


@dataclass(frozen=True, slots=True)
class Normalise:
    """``y[c] = gamma[c] * (x - mean[c]) / sqrt(variance[c]) + beta[c]``, epsilon included."""

    gamma: tuple[Fraction, ...]
    beta: tuple[Fraction, ...]
    mean: tuple[Fraction, ...]
    variance: tuple[Fraction, ...]  # of at least 0, epsilon added; must be positive


@dataclass(frozen=True, slots=True)
class Clip:
    """``y = min(max(x, low), high)``; a missing end does not limit: ReLU is ``Clip(0, None)``."""

    low: Fraction | None
    high: Fraction | None

    @property
    def ends(self) -> tuple[Fraction, ...]:
        """The limits that exist; ``high`` alone where ``low`` is above it and so never seen."""
        if self.low is not None and self.high is not None and self.low > self.high:
            return (self.high, self.high)
        return tuple(end for end in (self.low, self.high) if end is not None)


@dataclass(frozen=True, slots=True)
class Leaky:
    """``y = x`` where ``x >= 0``, else ``slope * x`` with a slope of at least 0."""

    slope: Fraction


@dataclass(frozen=True, slots=True)
class Stair:
    """``y = base``, and 1 more for each step at 0 that it has and ``x`` has reached: ``x >= 0``
    where it is ``closed``, ``x > 0`` where it is ``open``. A comparison has one of them, ONNX's
    Sign both: 0 at 0."""

    base: int
    closed: bool
    open: bool

    @property
    def strict(self) -> tuple[bool, ...]:
        """Whether each of its steps wants more than 0, ascending."""
        return (False,) * self.closed + (True,) * self.open

    @property
    def levels(self) -> range:
        """Every value of y, ascending."""
        return range(self.base, self.base + len(self.strict) + 1)


@dataclass(frozen=True, slots=True)
class Rounded:
    """``y`` is ``x`` rounded to a whole number."""

    rounding: Rounding


Step = Affine | Normalise | Clip | Leaky | Stair | Rounded


def at(values: tuple[Fraction, ...], channel: int) -> Fraction:
    """The entry of a channel; a single entry serves all."""
    return values[channel] if len(values) > 1 else values[0]


@singledispatch
def pull_back(step: Step, bound: Bound, channel: int) -> Answer:
    """What the input of ``step`` must meet for its output to meet ``bound``."""
    raise TypeError(f"no inversion for {type(step).__name__}; register one in {__name__}")


@pull_back.register
def _(step: Affine, bound: Bound, channel: int) -> Answer:
    scale, offset = at(step.scale, channel), at(step.offset, channel)
    if scale == 0:
        return ALWAYS if bound.met_by(Surd.of(offset)) else NEVER
    point = (bound.at - Surd.of(offset)).times(1 / scale)
    return Bound(point, bound.strict, bound.above == (scale > 0))


@pull_back.register
def _(step: Normalise, bound: Bound, channel: int) -> Answer:
    gamma, beta = at(step.gamma, channel), at(step.beta, channel)
    if gamma == 0:
        return ALWAYS if bound.met_by(Surd.of(beta)) else NEVER
    spread = (bound.at - Surd.of(beta)).times_root(at(step.variance, channel))
    point = spread.times(1 / gamma) + Surd.of(at(step.mean, channel))
    return Bound(point, bound.strict, bound.above == (gamma > 0))


@pull_back.register
def _(step: Clip, bound: Bound, channel: int) -> Answer:
    met = [bound.met_by(Surd.of(end)) for end in step.ends]
    if len(met) == 2 and met[0] == met[1]:
        return ALWAYS if met[0] else NEVER
    if step.low is not None and met[0] == bound.above:
        return ALWAYS if met[0] else NEVER
    if step.high is not None and met[-1] != bound.above:
        return ALWAYS if met[-1] else NEVER
    return bound


@pull_back.register
def _(step: Leaky, bound: Bound, channel: int) -> Answer:
    if step.slope == 0:
        return pull_back(Clip(Fraction(0), None), bound, channel)
    if bound.at.sign() >= 0:
        return bound
    return Bound(bound.at.times(1 / step.slope), bound.strict, bound.above)


@pull_back.register
def _(step: Stair, bound: Bound, channel: int) -> Answer:
    met = [bound.met_by(Surd.of(level)) for level in step.levels]
    if met[0] == met[-1]:  # the levels ascend, so that all between agree
        return ALWAYS if met[0] else NEVER
    strict = step.strict[met.index(not met[0]) - 1]
    return Bound(Surd.of(0), strict == bound.above, bound.above)


@pull_back.register
def _(step: Rounded, bound: Bound, channel: int) -> Answer:
    # y >= t and y > t are y >= n for a whole n; y <= t and y < t are not that
    n = bound.at.floor() + 1 if bound.strict == bound.above else bound.at.ceil()
    point, strict = reaches(n, step.rounding)
    return Bound(Surd.of(point), strict == bound.above, bound.above)


@singledispatch
def forward(step: Step, value: Surd, channel: int) -> Surd:
    """The output of ``step`` for an exact input."""
    raise TypeError(f"no evaluation for {type(step).__name__}; register one in {__name__}")


@forward.register
def _(step: Affine, value: Surd, channel: int) -> Surd:
    return value.times(at(step.scale, channel)) + Surd.of(at(step.offset, channel))


@forward.register
def _(step: Normalise, value: Surd, channel: int) -> Surd:
    variance = at(step.variance, channel)
    centred = value - Surd.of(at(step.mean, channel))
    scaled = centred.times(at(step.gamma, channel) / variance).times_root(variance)
    return scaled + Surd.of(at(step.beta, channel))


@forward.register
def _(step: Clip, value: Surd, channel: int) -> Surd:
    if step.low is not None and (value - Surd.of(step.low)).sign() < 0:
        value = Surd.of(step.low)
    if step.high is not None and (value - Surd.of(step.high)).sign() > 0:
        value = Surd.of(step.high)
    return value


@forward.register
def _(step: Leaky, value: Surd, channel: int) -> Surd:
    return value if value.sign() >= 0 else value.times(step.slope)


@forward.register
def _(step: Stair, value: Surd, channel: int) -> Surd:
    side = value.sign()
    return Surd.of(step.base + sum(side > 0 or (side == 0 and not s) for s in step.strict))


@forward.register
def _(step: Rounded, value: Surd, channel: int) -> Surd:
    return Surd.of(round_surd(value, step.rounding))
