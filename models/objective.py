"""What training minimises: an objective, and objectives around others.

A recipe's ``[[method]]`` tables, in order, each put an objective around the one before; innermost
is ``models.train.Plain``. A method changes what it must and hands the rest inwards: the images (an
attack, noise), the loss (a bound beside it), the weights around a step (clipping), the network
before the first step or after the last (masks, folding). Objectives hold no state that training
changes: what must survive a kill is a parameter or a buffer of the model, and chance is torch's own
generator, so that checkpoints have both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from flow.errors import InputError
from flow.ir import IntType
from models.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images as floats that are integers, labels, and a teacher's answers where there is one."""

    x: Tensor
    y: Tensor
    soft: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, images: Tensor | slice, *, device: torch.device | str = "cpu") -> Batch:
        """The images numbered so."""
        parts = (self.x, self.y, self.soft)
        return Batch(*(part if part is None else part[images].to(device) for part in parts))

    def moved(self, x: Tensor) -> Batch:
        """The same labels on other images."""
        return replace(self, x=x)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a method may know of the recipe and its data when it makes its objective."""

    network: Table  # the recipe's [network]
    training: Table  # the recipe's [training]
    pixel: IntType
    shape: tuple[int, ...]  # of one image, channels last
    classes: int
    examples: Batch  # that training draws from
    held_out: Batch | None


class Objective:
    """What a recipe minimises, and what it does to the network around the steps."""

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """The network to train, made of the one the recipe names: once, before the first step."""
        return model

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """The loss on ``batch``; ``done`` is the share of all steps already made, 0 .. 1.

        ``model`` may be wrapped for several devices: call it for its logits, and take
        ``layers(model)`` for its layers.
        """
        raise NotImplementedError

    def score(self, model: nn.Module) -> float | None:
        """What held-out images say, the higher the better; None without any."""
        raise NotImplementedError

    def before_step(self, model: nn.Sequential, *, done: float) -> None:
        """Gradients are there, weights are still the old ones."""

    def after_step(self, model: nn.Sequential, *, done: float) -> None:
        """Weights have moved: those that must stay in a range are put back."""

    def finish(self, model: nn.Sequential) -> nn.Sequential:
        """The network to export, in evaluation mode: once, behind the last step."""
        return model


@dataclass(frozen=True, eq=False)
class Around(Objective):
    """An objective that is another one, but for what a subclass changes: all it does not define it
    asks of the inner one, as :class:`Objective` describes it."""

    inner: Objective
    task: Task

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        return self.inner.prepare(model)

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        return self.inner.loss(model, batch, done=done)

    def score(self, model: nn.Module) -> float | None:
        return self.inner.score(model)

    def before_step(self, model: nn.Sequential, *, done: float) -> None:
        self.inner.before_step(model, done=done)

    def after_step(self, model: nn.Sequential, *, done: float) -> None:
        self.inner.after_step(model, done=done)

    def finish(self, model: nn.Sequential) -> nn.Sequential:
        return self.inner.finish(model)


class Method(Table):
    """The settings of a method, a ``[[method]]`` table; subclasses name their ``kind``."""

    kind: Any

    def check(self, network: Table) -> None:
        """Refuse a network that the method cannot train.

        Raises:
            ValueError: says what does not go together, and what to do.
        """

    def around(self, inner: Objective, task: Task) -> Objective:
        """The objective of this method around ``inner``."""
        raise NotImplementedError


def refuse_patience(task: Task, kind: str, why: str) -> None:
    """For methods whose early epochs say nothing of the last.

    Raises:
        InputError: the recipe ends training early.
    """
    if task.training.patience:
        raise InputError(f"'training.patience': method {kind!r} {why}; leave it out")


def layers(model: nn.Module) -> nn.Sequential:
    """The network inside what Lightning Fabric wraps around it."""
    found = getattr(model, "module", model)
    assert isinstance(found, nn.Sequential), "networks here are chains"
    return found


def ramp(done: float, *, start: float = 0.0, end: float = 1.0) -> float:
    """From 0 at ``start`` to 1 at ``end``, in a line, of the share of steps made."""
    return min(1.0, max(0.0, (done - start) / (end - start))) if end > start else float(done >= end)
