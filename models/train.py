"""Train the network of a recipe; the same recipe gives the same network.

bitproof train models/recipes/tfc-digits-w1a1.toml -o build/tfc-digits-w1a1/model.onnx
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from flow.errors import InputError
from flow.ir import Array
from models.data import Dataset
from models.loop import Judge, Machine, Progress, fit
from models.networks import build, floats, integer_logits
from models.objective import Batch, Objective, Task
from models.recipe import Recipe, Training
from models.teacher import taught

_TEST_BATCH = 1000
_FLOAT32 = 24  # bits of an integer that it holds whatever it is


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """A trained network in evaluation mode, and what it got right."""

    recipe: Recipe
    model: nn.Sequential
    data: Dataset
    logits: Array  # integers (test images, classes)
    correct: int
    total: int
    history: tuple[float, ...]  # mean training loss of each epoch

    @property
    def accuracy(self) -> float:
        """Share of test images classified correctly."""
        return self.correct / self.total


@dataclass(frozen=True, eq=False)
class Plain(Objective):
    """Cross-entropy of labels, and of a teacher's soft answers where there are any."""

    temperature: float
    held_out: Batch | None

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """The mean over the batch, of logits over the recipe's temperature."""
        logits = model(batch.x) / self.temperature
        loss = functional.cross_entropy(logits, batch.y)
        if batch.soft is None:
            return loss
        return (loss + functional.cross_entropy(logits, batch.soft)) / 2

    @torch.no_grad()
    def score(self, model: nn.Module) -> float | None:
        """The accuracy on held-out training images."""
        if self.held_out is None:
            return None
        model.eval()
        device = next(model.parameters()).device
        parts = [model(part.to(device)).cpu() for part in self.held_out.x.split(_TEST_BATCH)]
        return float((torch.cat(parts).argmax(dim=1) == self.held_out.y).double().mean())


def train(
    recipe: Recipe,
    data: Dataset,
    *,
    machine: Machine | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    judge: Judge | None = None,
) -> Trained:
    """Train on the training images only: no epoch is chosen by the test set.

    Args:
        folder: for a checkpoint after each epoch, from which a killed run goes on, and for
            TensorBoard; without it neither is written.
        judge: called with each epoch's number and held-out score; what it raises ends training.

    Raises:
        InputError: the recipe's network does not fit the data, or the checkpoint not the recipe.
        ClaimError: the loss is no number any more.
    """
    _usable(recipe.training, data)
    settings = recipe.training
    machine = machine or Machine()
    with _reproducible(settings.seed, strict=machine.accelerator == "cpu"):
        random = torch.Generator().manual_seed(settings.seed)
        model = build(recipe.network, shape=data.shape, classes=data.classes, pixel=data.type)
        task = _task(recipe, data, random)
        objective = objective_of(recipe, task)
        found, history = fit(
            recipe, objective.prepare(model), objective, examples=task.examples, random=random,
            machine=machine, folder=folder, progress=progress, judge=judge,
        )  # fmt: skip
        found = objective.finish(found)
        logits = _test_logits(recipe, found, data)
    correct = int((logits.argmax(axis=1) == data.test_y).sum())
    return Trained(recipe, found, data, logits, correct, len(data.test_y), history)


def _usable(settings: Training, data: Dataset) -> None:
    """Refuse data that would train nothing, or nothing that its test images could judge."""
    where = f"data set {data.name!r}"
    if data.type.signed:
        raise InputError(f"{where}: pixels of type {data.type}; needs unsigned ones")
    if data.type.bits > _FLOAT32:
        raise InputError(
            f"{where}: pixels of type {data.type}; float32 holds {_FLOAT32} bits, so divide them"
        )
    if data.classes < 2:
        raise InputError(f"{where}: all labels are 0; there is nothing to choose from")
    if data.train_x is data.test_x:
        raise InputError(
            f"{where}: the images x are its test; add train_x and train_y, which are trained on"
        )
    if settings.held_out >= len(data.train_x) - 1:
        raise InputError(
            f"'training.held_out': {settings.held_out} of {len(data.train_x)} training images; "
            "leave some to train on"
        )


def _task(recipe: Recipe, data: Dataset, random: torch.Generator) -> Task:
    """What the recipe's methods may know; the last images are held out, from a teacher too."""
    settings = recipe.training
    whole = Batch(floats(recipe.network, data.train_x), torch.tensor(data.train_y))
    kept = len(whole) - settings.held_out
    examples = whole.take(slice(kept))
    if settings.teacher_epochs:
        soft = taught(settings, examples.x, examples.y, data, random)
        examples = replace(examples, soft=soft)
    return Task(
        recipe.network, settings, data.type, data.shape, data.classes, examples,
        held_out=whole.take(slice(kept, None)) if settings.held_out else None,
    )  # fmt: skip


def objective_of(recipe: Recipe, task: Task) -> Objective:
    """The recipe's methods around plain training, the first one innermost."""
    objective: Objective = Plain(recipe.training.temperature, task.held_out)
    for method in recipe.method:
        objective = method.around(objective, task)
    return objective


@contextmanager
def _reproducible(seed: int, *, strict: bool) -> Iterator[None]:
    """One thread, seeded generators and, where ``strict``, deterministic kernels only; the caller's
    torch is restored.

    An accelerator has no deterministic kernel of some layers, and torch refuses those.
    """
    threads, before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.set_num_threads(1)  # sums in one order: the same bits on every run
            torch.use_deterministic_algorithms(strict)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(before)


@torch.no_grad()
def _test_logits(recipe: Recipe, model: nn.Sequential, data: Dataset) -> Array:
    parts = floats(recipe.network, data.test_x).split(_TEST_BATCH)
    return np.concatenate([integer_logits(model, part) for part in parts])
