"""What every table of a TOML file here is: checked whole, no unknown key."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Bits = Annotated[int, Field(ge=1, le=8)]
WeightBits = Annotated[int, Field(ge=1, le=10)]  # Gorsline et al. go so far


class Table(BaseModel):
    """A table of a TOML file: no unknown key, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
