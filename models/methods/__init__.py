"""Ways to train for robustness: one file each, one entry here."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated

from pydantic import Field

from models.methods.clipping import Clipping
from models.objective import Method

METHODS: tuple[type[Method], ...] = (Clipping,)
AnyMethod = Annotated[reduce(or_, METHODS), Field(discriminator="kind")]
