"""What happens to stored bits in a campaign, as a table ``[faults]`` of its file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flow.campaign.elements import Target
from flow.campaign.sample import sample_size

Count = Annotated[int, Field(strict=True, ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, le=1)]
LOOKING = 4  # times as many faults may be looked at one by one; about 3 is the worst needed


class _Drawn(BaseModel):
    """Draws: ``count`` of them, or as many as ``margin`` needs at ``confidence``.

    ``count = "all"`` tries every fault there is, where no fault is drawn twice.
    """

    once: ClassVar[bool] = False  # a fault is drawn once at most
    model_config = ConfigDict(extra="forbid", frozen=True)

    count: Count | Literal["all"] | None = None
    margin: Share | None = None
    confidence: Share = 0.95
    sequential: bool = False  # stop as soon as ``margin`` is reached, validly at any time

    @model_validator(mode="after")
    def _one_size(self) -> _Drawn:
        if (self.count is None) == (self.margin is None):
            raise ValueError("give either 'count' or 'margin'")
        if self.count == "all" and not self.once:
            raise ValueError("'count' is \"all\" where single bits are struck; give a number")
        if self.margin is None and "confidence" in self.model_fields_set:
            raise ValueError("'confidence' is of 'margin'; leave it out or give that")
        if self.margin is None and self.sequential:
            raise ValueError("'sequential' stops at a 'margin'; give that instead of 'count'")
        return self

    def size(self, population: int) -> int:
        """How many to draw from so many possible faults."""
        if self.count == "all":
            return population
        if self.count is not None:
            return self.count
        assert self.margin is not None, "one of the two is there"
        fixed = sample_size(population, margin=self.margin, confidence=self.confidence)
        return min(population, LOOKING * fixed) if self.sequential else fixed


class Single(_Drawn):
    """One stored bit inverted; ``per_stratum`` at least of each bit position of each parameter."""

    once = True
    model: Literal["single"] = "single"
    per_stratum: Annotated[int, Field(strict=True, ge=2)] = 4
    allocate: Literal["size", "fit"] = "size"  # draws of strata: by their bits, or by their FIT


class Stuck(_Drawn):
    """One stored bit that reads ``value`` whatever was written."""

    once = True
    model: Literal["stuck"] = "stuck"
    value: Literal[0, 1]
    per_stratum: Annotated[int, Field(strict=True, ge=2)] = 4


class Multiple(_Drawn):
    """So many distinct bits inverted together, anywhere; ``count`` draws for each number."""

    model: Literal["multiple"] = "multiple"
    flips: Annotated[tuple[Count, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_share(self) -> Multiple:
        if self.sequential and len(self.flips) > 1:
            raise ValueError("'sequential' follows one share; give one number of 'flips'")
        return self


class Burst(_Drawn):
    """So many neighbouring bits of one memory word inverted together; needs a build."""

    model: Literal["burst"] = "burst"
    bits: Annotated[int, Field(strict=True, ge=2)]


class Rates(BaseModel):
    """Persistent random bit errors: each bit of a chip inverted at a rate.

    A chip's pattern at one rate is contained in its pattern at every higher rate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Literal["rate"] = "rate"
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    chips: Count

    @model_validator(mode="after")
    def _distinct(self) -> Rates:
        if len(set(self.rates)) != len(self.rates):
            raise ValueError("'rates' lists a rate twice")
        return self


class Transient(_Drawn):
    """``flips`` bits of elements that pass by inverted together, in every image at its own time.

    Draws of several bits are independent, single bits are drawn by strata as stored ones are.
    """

    once = True
    model: Literal["transient"] = "transient"
    target: Target
    nodes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None  # that make them; or all
    flips: Count = 1
    per_stratum: Annotated[int, Field(strict=True, ge=2)] = 4

    @model_validator(mode="after")
    def _alone(self) -> Transient:
        if self.flips > 1 and self.count == "all":
            raise ValueError("'count' is \"all\" for single flips only; give a number")
        if self.flips > 1 and "per_stratum" in self.model_fields_set:
            raise ValueError("'per_stratum' is of single flips; leave it out")
        if self.sequential:
            raise ValueError("'sequential' is of stored bits; leave it out")
        return self


FaultModel = Single | Stuck | Multiple | Burst | Rates | Transient
MODELS: dict[str, type[FaultModel]] = {
    "single": Single,
    "stuck": Stuck,
    "multiple": Multiple,
    "burst": Burst,
    "rate": Rates,
    "transient": Transient,
}
