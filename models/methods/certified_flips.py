"""Training for labels that hold whichever k stored bits of a layer's weights flip.

The bound of k flips (``flow.certify``) made differentiable and put into the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from models.intervals import clean_statistics
from models.objective import Around, Batch, Method, Objective, Task, layers, ramp
from models.struck import struck_leads
from models.table import Positive, Table

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


class CertifiedFlips(Method):
    """A hinge on the margins left by ``flips`` flips in each layer, ramped in weight and flips."""

    kind: Literal["certified-flips"]
    flips: Positive
    weight: NotNegative = 1.0
    margin: NotNegative = 0.2  # in logits over the recipe's temperature
    start: Share = 0.1  # plain training until here
    end: Share = 0.7

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("the ramp must end behind its start")
        return self

    def check(self, network: Table) -> None:
        """Dense layers only."""
        if network.kind != "fully-connected":
            raise ValueError("certified-flips has no bound of convolutions; use dense layers")

    def around(self, inner: Objective, task: Task) -> Objective:
        """A hinge on what flips leave of the margins, beside the inner loss."""
        return _Struck(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Struck(Around):
    settings: CertifiedFlips

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """The inner loss, and the mean over layers of a hinge on the margins that flips leave."""
        network, settings = layers(model), self.settings
        with clean_statistics(network) as statistics:
            plain = super().loss(model, batch, done=done)
        risen = ramp(done, start=settings.start, end=settings.end)
        if risen == 0:
            return plain
        flips = max(1, round(risen * settings.flips))
        found = struck_leads(network, batch.x, batch.y, flips=flips, statistics=statistics)
        short = sum(self._hinge(lead, batch.y) for lead in found) / len(found)
        return plain + settings.weight * risen * short

    def _hinge(self, lead: Tensor, y: Tensor) -> Tensor:
        others = 1 - functional.one_hot(y, lead.shape[1])
        short = functional.relu(self.settings.margin - lead / self.task.training.temperature)
        return (short * others).sum(1).mean() / lead.shape[1]
