"""Random bit error training (after Stutz et al., MLSys 2021): weights that lose some bits still
classify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from models.bit_errors import random_masks, struck
from models.objective import Around, Batch, Method, Objective, Task, layers


class RandBET(Method):
    """The mean of two losses, of clean weights and of weights whose stored bits are each flipped
    with probability ``rate``; of the first alone for batches where that is above ``start``."""

    kind: Literal["randbet"]
    rate: Annotated[float, Field(gt=0, le=0.5)]
    start: Annotated[float, Field(gt=0)] = 1.75  # nats

    def around(self, inner: Objective, task: Task) -> Objective:
        """Clean and struck weights, half each."""
        return _Struck(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Struck(Around):
    settings: RandBET

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """The mean of both losses, or the clean one where it is above the start."""
        clean = super().loss(model, batch, done=done)
        if clean.item() >= self.settings.start:
            return clean
        network = layers(model)
        with struck(network, random_masks(network, self.settings.rate)):
            return (clean + super().loss(model, batch, done=done)) / 2
