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


def logit_temperature(logits: Array) -> float:
    """Half the mean lead of the first over the second logit, at least 1.

    Integer logits come in units of their own; this makes a typical clean lead worth two nats, so
    that the softmax neither saturates nor flattens, whatever the width of the network.
    """
    if logits.shape[1] < 2 or not len(logits):
        return 1.0
    ranked = np.sort(logits, axis=1)
    return max(1.0, float((ranked[:, -1] - ranked[:, -2]).mean()) / 2)
