"""What an attacker maximises: a function of integer logits and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flow.ir import Array

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Mean cross-entropy of ``logits / temperature``; the temperature stays fixed in an attack,
    so that losses before and after a flip can be compared."""

    temperature: float

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits / self.temperature, y)

    def each(self, logits: Array, y: Array) -> NDArray[np.float64]:
        """The loss of every row of integer logits, (batch,)."""
        scaled = torch.from_numpy(logits).to(torch.float64) / self.temperature
        losses = torch.nn.functional.cross_entropy(scaled, torch.from_numpy(y), reduction="none")
        found: NDArray[np.float64] = losses.numpy()
        return found


@dataclass(frozen=True, slots=True)
class Towards:
    """The negative mean cross-entropy to the class ``target``; of images of class ``source`` only
    where one is given. With ``keep`` the cross-entropy of all other images is held down too, and
    has a gradient (T-BFA types 1, 2 and 3; Rakin et al., TPAMI 2021)."""

    temperature: float
    target: int
    source: int | None = None
    keep: bool = False

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        scaled = logits / self.temperature
        moved = torch.ones_like(y, dtype=torch.bool) if self.source is None else y == self.source
        wanted = torch.full_like(y[moved], self.target)
        loss = -torch.nn.functional.cross_entropy(scaled[moved], wanted)
        if self.keep and not bool(moved.all()):
            loss = loss - torch.nn.functional.cross_entropy(scaled[~moved], y[~moved])
        return loss


def logit_temperature(logits: Array) -> float:
    """Half the mean lead of the first over the second logit, at least 1.

    Integer logits come in units of their own; this makes a typical clean lead worth two nats, so
    that the softmax neither saturates nor flattens, whatever the width of the network.
    """
    if logits.shape[1] < 2 or not len(logits):
        return 1.0
    ranked = np.sort(logits, axis=1)
    return max(1.0, float((ranked[:, -1] - ranked[:, -2]).mean()) / 2)
