"""Ways to train for robustness: one file each, one entry here."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated

from pydantic import Field

from models.methods.adversarial import Adversarial
from models.methods.certified_flips import CertifiedFlips
from models.methods.clipping import Clipping
from models.methods.qa_ibp import QaIbp
from models.methods.ra_bnn import RaBnn
from models.methods.randbet import RandBET
from models.methods.rounding import Rounding
from models.methods.smoothing import Smoothing
from models.methods.wcat import WCAT
from models.methods.weight_radius import WeightRadius
from models.objective import Method

METHODS: tuple[type[Method], ...] = (
    CertifiedFlips,
    Clipping,
    QaIbp,
    RaBnn,
    Smoothing,
    RandBET,
    WCAT,
    Adversarial,
    Rounding,
    WeightRadius,
)
AnyMethod = Annotated[reduce(or_, METHODS), Field(discriminator="kind")]
