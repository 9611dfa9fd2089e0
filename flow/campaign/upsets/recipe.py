"""A campaign of register upsets as a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from flow.campaign.fit import Fit

Count = Annotated[int, Field(strict=True, ge=1)]


class UpsetRecipe(BaseModel):
    """What to upset and how images are streamed; ``target = "registers"`` tells it from others.

    An upset is a register bit, a cycle and the image its run begins with. ``upsets = "all"`` tries
    every one there is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Literal["registers"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    build: Path
    data: str  # data set, read by the caller
    images: Count  # drawn from the data set
    upsets: Count | Literal["all"]  # distinct ones, at least
    per_register: Annotated[int, Field(strict=True, ge=2)] = 4  # of each register
    seed: Annotated[int, Field(strict=True, ge=0)]
    window: Count = 3  # images in flow around the upset
    follow: Count = 1  # images after it, without a reset
    accept: Annotated[int, Field(strict=True, ge=1, le=256)] = 256  # chance in 256 per cycle
    patience: Annotated[int, Field(strict=True, ge=2)] = 4  # clean latencies until a run hangs
    fit: Fit | None = None  # the rate of flip-flops, for an estimate of failures
    unit: Count = 256  # upsets in one shard
    workers: Count = 1  # processes
