"""What methods share that put a bound beside plain training, and bring it in along a ramp."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from models.objective import Method

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


class Ramped(Method):
    """A hinge on margins that a bound leaves; what it asks for rises from ``start`` to ``end``."""

    margin: NotNegative = 0.2  # in logits over the recipe's temperature
    start: Share = 0.1  # plain training until here
    end: Share = 0.7

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("the ramp must end behind its start")
        return self
