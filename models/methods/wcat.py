"""Ranges of weights that are learned, one per layer (after Chitsaz et al., TMLR 2023: WCAT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from models.layers import weighted
from models.objective import Around, Method, Objective, Task
from models.table import Table

_LEAST = 2**-10  # a range of 0 would leave the quantizer no scale


class WCAT(Method):
    """Weights of each layer stay within a range of its own, which starts at ``limit`` and is
    learned: the loss moves it through the weights at its border, ``decay`` (the weight of its
    square in the loss) pulls it in."""

    kind: Literal["wcat"]
    limit: Annotated[float, Field(gt=0)]
    decay: Annotated[float, Field(ge=0)] = 0.01

    def check(self, network: Table) -> None:
        """Weights with a size; signs have none."""
        if 1 in network.widths:
            raise ValueError("wcat changes no sign; binary weights need another method")

    def around(self, inner: Objective, task: Task) -> Objective:
        """A learned range for each layer's weights."""
        return _Ranged(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Ranged(Around):
    settings: WCAT

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """Each layer gets its range as a parameter, so that Adam moves it and checkpoints have
        it."""
        model = super().prepare(model)
        for layer in weighted(model):
            layer.range = nn.Parameter(torch.tensor(self.settings.limit))
        _clip(model)
        return model

    @torch.no_grad()
    def before_step(self, model: nn.Sequential, *, done: float) -> None:
        """Each range gets the gradient of the weights at its border, and its decay."""
        super().before_step(model, done=done)
        for layer in weighted(model):
            at_border = layer.weight.abs() >= layer.range
            pull = (layer.weight.sign() * layer.weight.grad)[at_border].sum()
            layer.range.grad = pull + 2 * self.settings.decay * layer.range

    @torch.no_grad()
    def after_step(self, model: nn.Sequential, *, done: float) -> None:
        """No weight is beyond its layer's range."""
        super().after_step(model, done=done)
        _clip(model)

    def finish(self, model: nn.Sequential) -> nn.Sequential:
        """The ranges are in the weights now; the exported layers are plain ones."""
        model = super().finish(model)
        for layer in weighted(model):
            del layer.range
        return model


@torch.no_grad()
def _clip(model: nn.Module) -> None:
    for layer in weighted(model):
        layer.range.clamp_(min=_LEAST)
        layer.weight.clamp_(-layer.range, layer.range)
