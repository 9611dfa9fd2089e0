"""Quantization-aware interval bound propagation: networks whose bounds are tight enough to certify.

M. Lechner et al., Quantization-aware Interval Bound Propagation for Training Certifiably Robust
Quantized Neural Networks, AAAI 2023; weights at the start and BatchNorm after Z. Shi et al., Fast
Certified Robust Training with Short Warmup, 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.intervals import clean_statistics, hidden, input_interval, margins
from models.layers import weighted
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
from models.table import Table

_AT_ONCE = 500


class QaIbp(Ramped):
    """Labels that hold while every pixel moves by ``radius``; ramps from ``start`` to ``end``."""

    kind: Literal["qa-ibp"]
    radius: Annotated[float, Field(gt=0)]  # pixel steps
    weight: NotNegative = 2.0  # lambda: of the hinge on the margins, at the end of its ramp
    width: NotNegative = 0.001  # of the mean widths of activations, at the end of its ramp
    overshoot: NotNegative = 0.1  # pixel steps beyond the radius, as the paper trains

    def check(self, network: Table) -> None:
        """Any chain of layers."""
        if network.kind == "resnet":
            raise ValueError("qa-ibp has no intervals of residual sums; choose a chain of layers")

    def around(self, inner: Objective, task: Task) -> Objective:
        """Intervals beside the batch, and scores by what they certify; refuses patience."""
        refuse_patience(task, self.kind, "certifies little before its ramp has ended")
        return _Bounded(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Bounded(Around):
    settings: QaIbp

    @torch.no_grad()
    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """Weights drawn so that the width of an interval neither grows nor shrinks on the way."""
        model = super().prepare(model)
        for layer in weighted(model):
            if int(layer.weight_quant.bit_width()) > 1:  # signs are as wide as they are
                fan_in = layer.weight[0].numel()
                nn.init.normal_(layer.weight, 0.0, sqrt(2 * pi) / fan_in)
        return model

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """The inner loss, a hinge on the certified margins, and the widths that make them small."""
        network, settings = layers(model), self.settings
        with clean_statistics(network) as statistics:
            plain = super().loss(model, batch, done=done)
        risen = ramp(done, start=settings.start, end=settings.end)
        if risen == 0:
            return plain
        radius = risen * (settings.radius + settings.overshoot)
        boxes = hidden(network, input_interval(network, batch.x, radius), statistics)
        lead = margins(network, boxes[-1], batch.y) / self.task.training.temperature
        others = 1 - functional.one_hot(batch.y, lead.shape[1])
        hinge = (functional.relu(settings.margin - lead) * others).sum(1).mean() / lead.shape[1]
        widths = torch.stack([box.width for box in boxes]).sum()
        return plain + risen * (settings.weight * hinge + settings.width * widths)

    @torch.no_grad()
    def score(self, model: nn.Module) -> float | None:
        """The share of held-out images with a certified label: the epoch that certifies most."""
        if self.task.held_out is None:
            return None
        model.eval()
        network = layers(model)
        device = next(model.parameters()).device
        found = []
        for first in range(0, len(self.task.held_out), _AT_ONCE):
            part = self.task.held_out.take(slice(first, first + _AT_ONCE), device=device)
            found.append(certified(network, part, self.settings.radius).cpu())
        return float(torch.cat(found).double().mean())


def certified(network: nn.Sequential, batch: Batch, radius: float) -> Tensor:
    """Of each image, whether the interval bounds keep its label; ties are lost, in floats."""
    lead = margins(network, hidden(network, input_interval(network, batch.x, radius))[-1], batch.y)
    own = functional.one_hot(batch.y, lead.shape[1]).bool()
    return ((lead > 0) | own).all(dim=1)
