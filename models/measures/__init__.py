"""What a study measures on every network it trains: one file per idea, one entry each here."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated

from pydantic import Field

from models.measures.bit_errors import BitErrors
from models.measures.bit_search import BitSearch
from models.measures.boxes import Boxes
from models.measures.flips import AttackedFlips, CertifiedFlips
from models.measures.gradients import GradientAttacks
from models.measures.measure import Measure
from models.measures.size import Size
from models.measures.smoothed import Smoothed
from models.measures.weight_radius import WeightRadius
from models.measures.worst_flip import WorstFlip

MEASURES: tuple[type[Measure], ...] = (
    Boxes,
    CertifiedFlips,
    AttackedFlips,
    BitSearch,
    Size,
    Smoothed,
    WorstFlip,
    BitErrors,
    GradientAttacks,
    WeightRadius,
)
AnyMeasure = Annotated[reduce(or_, MEASURES), Field(discriminator="kind")]
