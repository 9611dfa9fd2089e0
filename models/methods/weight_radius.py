"""Robustness-aware quantization: coarse weights near fine ones, by the certified weight radius.

T.-W. Weng et al., Towards Certificated Model Robustness Against Weight Perturbations, AAAI 2020:
minimise the loss over weights of a code book that are within the layer's certified radius (the mean
over images) of the trained ones. Published code is not known; what a layer does where the radius is
below half a step of the code book, so that no code may be left, is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.layers import weighted
from models.objective import Around, Batch, Method, Objective, Task, layers, refuse_patience
from models.table import Positive, Table
from models.weight_radius import mean_radii
from models.weight_widths import set_weight_widths, weight_widths

_MARGIN = 0.01  # how near to the border between two codes a weight may come, in steps
_FUZZ = 1e-4  # a distance of a whole reach, in steps, is within it


class WeightRadius(Method):
    """Weights of ``reference_bits`` are trained for the share ``start`` of all steps; from then on
    they have the network's own widths and stay near what they were.

    The radius of a layer is the mean of what ``images`` training images certify. ``constrained``:
    after each step every weight has a code within the radius, or its nearest code where none is.
    ``regularised``: ``weight`` times the mean square of what lies beyond the radius, in steps of
    the code book, joins the loss.
    """

    kind: Literal["weight-radius"]
    how: Literal["constrained", "regularised"] = "constrained"
    weight: Annotated[float, Field(ge=0)] = 1.0
    start: Annotated[float, Field(gt=0, lt=1)] = 0.5
    reference_bits: Annotated[int, Field(ge=2, le=8)] = 8
    images: Positive = 500

    def check(self, network: Table) -> None:
        """A chain of layers, weights of 2 bits or more in every one."""
        if network.kind == "resnet":
            raise ValueError(
                "weight-radius has no intervals of residual sums; choose a chain of layers"
            )
        if 1 in network.widths:
            raise ValueError("weight-radius has no distance between signs; use 2 bits or more")

    def around(self, inner: Objective, task: Task) -> Objective:
        """Fine weights first, coarse ones near them behind; refuses patience."""
        refuse_patience(task, self.kind, "judges no epoch before weights are coarse")
        return _Near(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Near(Around):
    settings: WeightRadius

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """With buffers for the reference's weights and their radii."""
        model = super().prepare(model)
        model.own_widths = weight_widths(model)
        model.register_buffer("coarse", torch.tensor(False))
        for layer in weighted(model):
            layer.register_buffer("reference", torch.zeros_like(layer.weight))
            layer.register_buffer("radius", torch.zeros(()))
        return model

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """The inner loss; regularised, with what the weights are beyond their radius."""
        network, settings = layers(model), self.settings
        if done >= settings.start and not network.coarse:
            self._turn(network, batch.x.device)
        self._widen(network)
        plain = super().loss(model, batch, done=done)
        if not network.coarse or settings.how == "constrained":
            return plain
        excess = [beyond(layer).square().mean() for layer in weighted(network)]
        return plain + settings.weight * torch.stack(excess).sum()

    def score(self, model: nn.Module) -> float | None:
        """No epoch of the reference is kept as the best."""
        return super().score(model) if layers(model).coarse else None

    def after_step(self, model: nn.Sequential, *, done: float) -> None:
        """Constrained, every code is within its radius again, or the nearest."""
        super().after_step(model, done=done)
        if model.coarse and self.settings.how == "constrained":
            constrain(model)

    def finish(self, model: nn.Sequential) -> nn.Sequential:
        """The exported layers are plain ones, of the network's own widths."""
        if not model.coarse:
            self._turn(model, self.task.examples.x.device)
        set_weight_widths(model, model.own_widths)
        for layer in weighted(model):
            del layer.reference, layer.radius
        del model.own_widths, model.coarse
        return super().finish(model)

    def _widen(self, model: nn.Sequential) -> None:
        """The widths of this stage; Brevitas gives a model its own ones whenever it is loaded."""
        fine = [self.settings.reference_bits] * len(model.own_widths)
        set_weight_widths(model, model.own_widths if model.coarse else fine)

    @torch.no_grad()
    def _turn(self, model: nn.Sequential, device: torch.device) -> None:
        """Take what the weights are for the reference, and from now on the network's own widths."""
        self._widen(model)
        examples = self.task.examples.take(slice(self.settings.images), device=device)
        for layer, radius in zip(weighted(model), mean_radii(model, examples), strict=True):
            layer.reference.copy_(layer.quant_weight().value)
            layer.radius.fill_(radius)
        model.coarse.fill_(True)
        set_weight_widths(model, model.own_widths)
        if self.settings.how == "constrained":
            constrain(model)


def beyond(layer: nn.Module) -> Tensor:
    """How much farther than its radius each weight's code is from the reference, in steps."""
    found = layer.quant_weight()
    away = (found.value - layer.reference).abs() - layer.radius
    return functional.relu(away) / found.scale.detach()


@torch.no_grad()
def constrain(model: nn.Module) -> None:
    """Every weight gets a code within the radius of its reference, or the nearest one.

    The code book stays the reference's: its largest weights stay where they are, and no other is
    larger.
    """
    for layer in weighted(model):
        largest = layer.reference.abs().max()
        top = 2 ** (int(layer.weight_quant.bit_width()) - 1) - 1
        step = largest / top
        reach = torch.clamp(layer.radius / step, min=0.5) + _FUZZ
        centre = layer.reference / step
        low, high = (centre - reach).ceil(), (centre + reach).floor()
        low, high = (low.clamp(-top, top) - 0.5 + _MARGIN), (high.clamp(-top, top) + 0.5 - _MARGIN)
        kept = layer.weight.clamp(low * step, high * step).clamp(-largest, largest)
        at_end = layer.reference.abs() == largest
        layer.weight.copy_(torch.where(at_end, layer.reference, kept))
