"""Training on images moved against the network (Madry et al., ICLR 2018), on the pixel grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from models.objective import Around, Batch, Method, Objective, Task
from models.table import Positive


class Adversarial(Method):
    """Each batch is replaced by the images that ``steps`` signed gradient steps make of it, at most
    ``radius`` pixel levels away; ``share`` is the weight of the loss on them, clean images have the
    rest. The radius grows in a line over the first ``ramp`` of training."""

    kind: Literal["pgd"]
    radius: Positive
    steps: Annotated[int, Field(ge=1, le=100)] = 7
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.0

    def around(self, inner: Objective, task: Task) -> Objective:
        """Every batch as the attack moves it."""
        return _Attacked(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Attacked(Around):
    settings: Adversarial

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """On moved images, and with its share on clean ones."""
        settings, pixel = self.settings, self.task.pixel
        radius = round(settings.radius * min(1.0, done / settings.ramp if settings.ramp else 1.0))
        if radius == 0:
            return super().loss(model, batch, done=done)
        moved = attacked(
            model, batch.x, _Loss(self.inner, batch, done), radius=radius, steps=settings.steps,
            lo=pixel.lo, hi=pixel.hi,
        )  # fmt: skip
        found = super().loss(model, batch.moved(moved), done=done)
        if settings.share == 1:
            return found
        clean = super().loss(model, batch, done=done)
        return settings.share * found + (1 - settings.share) * clean


@dataclass(frozen=True, slots=True, eq=False)
class _Loss:
    """The loss that training will have on moved images."""

    inner: Objective
    batch: Batch
    done: float

    def __call__(self, model: nn.Module, x: Tensor) -> Tensor:
        return self.inner.loss(model, self.batch.moved(x), done=self.done)


def attacked(
    model: nn.Module, x: Tensor, loss: Any, *, radius: int, steps: int, lo: int, hi: int
) -> Tensor:
    """Images of whole pixel levels, at most ``radius`` from ``x`` and within ``lo .. hi`` or no
    further out than ``x`` is, that raise ``loss(model, images)``.

    More steps than one start at random points. The network's mode, statistics and parameters'
    gradients are as before.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    least = torch.minimum(x, (x - radius).clamp(min=lo))  # images may lie beyond the range: noise
    most = torch.maximum(x, (x + radius).clamp(max=hi))
    stride = float(radius) if steps == 1 else max(1.0, 2.5 * radius / steps)
    now = x
    if steps > 1:
        shift = torch.randint(-radius, radius + 1, x.shape).to(x)
        now = (x + shift).clamp(least, most)
    for _ in range(steps):
        leaf = now.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(model, leaf), leaf)
        now = (leaf.detach() + stride * gradient.sign()).round().clamp(least, most)
    for module, training in modes:
        module.training = training
    return now.detach()
