"""Training for labels that hold whichever k stored bits of a layer's weights flip.

The bound of k flips (``flow.certify``) made differentiable and put into the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.intervals import clean_statistics
from models.methods.ramped import NotNegative, Ramped
from models.objective import (
    Around,
    Batch,
    Objective,
    Task,
    layers,
    ramp,
    refuse_patience,
)
from models.struck import struck_leads
from models.table import Positive, Table

_AT_ONCE = 100


class CertifiedFlips(Ramped):
    """A hinge on the margins left by ``flips`` flips in each layer, ramped in weight and flips."""

    kind: Literal["certified-flips"]
    flips: Positive
    weight: NotNegative = 1.0

    def check(self, network: Table) -> None:
        """Dense layers only."""
        if network.kind != "fully-connected":
            raise ValueError("certified-flips has no bound of convolutions; use dense layers")

    def around(self, inner: Objective, task: Task) -> Objective:
        """A hinge on what flips leave of the margins, scores by what holds; refuses patience."""
        refuse_patience(task, self.kind, "certifies little before its ramp has ended")
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

    @torch.no_grad()
    def score(self, model: nn.Module) -> float | None:
        """The share of held-out images whose label holds whichever bits of a layer flip."""
        if self.task.held_out is None:
            return None
        model.eval()
        device = next(model.parameters()).device
        found = []
        for first in range(0, len(self.task.held_out), _AT_ONCE):
            part = self.task.held_out.take(slice(first, first + _AT_ONCE), device=device)
            found.append(held(layers(model), part, self.settings.flips).cpu())
        return float(torch.cat(found).double().mean())

    def _hinge(self, lead: Tensor, y: Tensor) -> Tensor:
        others = 1 - functional.one_hot(y, lead.shape[1])
        short = functional.relu(self.settings.margin - lead / self.task.training.temperature)
        return (short * others).sum(1).mean() / lead.shape[1]


def held(network: nn.Sequential, batch: Batch, flips: int) -> Tensor:
    """Of each image, whether its label leads whichever ``flips`` bits of any one layer flip; ties
    are lost, in floats."""
    leads = torch.stack(struck_leads(network, batch.x, batch.y, flips=flips))
    own = functional.one_hot(batch.y, leads.shape[2]).bool()
    return ((leads > 0) | own).all(dim=2).all(dim=0)
