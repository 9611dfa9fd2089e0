"""What every table of a TOML file here is: checked whole, no unknown key."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Positive = Annotated[int, Field(gt=0)]
Bits = Annotated[int, Field(ge=1, le=8)]
WeightBits = Annotated[int, Field(ge=1, le=10)]  # Gorsline et al. go so far
WIDTHS = ("one width", "a width for each layer")  # parts of an error's place, not keys


def _how_many(value: Any) -> str:
    return WIDTHS[isinstance(value, list)]


EachWeightBits = Annotated[
    Annotated[WeightBits, Tag(WIDTHS[0])] | Annotated[list[WeightBits], Tag(WIDTHS[1])],
    Discriminator(_how_many),
]


class Table(BaseModel):
    """A table of a TOML file: no unknown key, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
