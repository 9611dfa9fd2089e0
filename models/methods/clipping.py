"""Weights that stay within a range: clipped after every step (after Stutz et al., MLSys 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from models.layers import weighted
from models.objective import Around, Method, Objective, Task
from models.table import Table


class Clipping(Method):
    """No weight is ever larger than ``limit``."""

    kind: Literal["clipping"]
    limit: Annotated[float, Field(gt=0)]

    def check(self, network: Table) -> None:
        """Weights with a size; signs have none."""
        if 1 in network.widths:
            raise ValueError("clipping changes no sign; binary weights need another method")

    def around(self, inner: Objective, task: Task) -> Objective:
        """Weights put back into the range behind every step."""
        return _Clipped(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Clipped(Around):
    settings: Clipping

    @torch.no_grad()
    def after_step(self, model: nn.Sequential, *, done: float) -> None:
        """No weight is larger than the limit."""
        super().after_step(model, done=done)
        for layer in weighted(model):
            layer.weight.clamp_(-self.settings.limit, self.settings.limit)
