"""Train the network of a recipe; the same recipe gives the same network.

bitproof train models/recipes/tfc-digits-w1a1.toml -o build/tfc-digits-w1a1/model.onnx
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow.errors import InputError
from flow.ir import Array
from models.data import Dataset
from models.loop import Machine, Progress, fit
from models.networks import build, floats, integer_logits
from models.recipe import Recipe, Training
from models.teacher import taught

_TEST_BATCH = 1000


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


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """Cross-entropy of labels, and of a teacher's soft answers where there are any."""

    settings: Training
    x: Tensor
    y: Tensor
    targets: Tensor | None
    held_out: tuple[Tensor, Tensor] | None

    def loss(self, model: nn.Module, batch: Tensor, *, done: float) -> Tensor:
        """The loss on the training images numbered ``batch``."""
        device = next(model.parameters()).device
        logits = model(self.x[batch].to(device)) / self.settings.temperature
        loss = functional.cross_entropy(logits, self.y[batch].to(device))
        if self.targets is None:
            return loss
        soft = functional.cross_entropy(logits, self.targets[batch].to(device))
        return (loss + soft) / 2

    @torch.no_grad()
    def score(self, model: nn.Module) -> float | None:
        """The accuracy on held-out training images."""
        if self.held_out is None:
            return None
        model.eval()
        device = next(model.parameters()).device
        x, y = self.held_out
        parts = [model(part.to(device)).cpu() for part in x.split(_TEST_BATCH)]
        return float((torch.cat(parts).argmax(dim=1) == y).double().mean())

    def after_step(self, model: nn.Module) -> None:
        """Nothing is put back: Brevitas clips latent binary weights itself."""


def train(
    recipe: Recipe,
    data: Dataset,
    *,
    machine: Machine | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on the training images only: no epoch is chosen by the test set.

    Args:
        folder: for a checkpoint after each epoch, from which a killed run goes on, and for
            TensorBoard; without it neither is written.

    Raises:
        InputError: the recipe's network does not fit the data, or the checkpoint not the recipe.
        ClaimError: the loss is no number any more.
    """
    if data.type.signed:
        raise InputError(f"data set {data.name!r}: pixels of type {data.type}; needs unsigned ones")
    settings = recipe.training
    if settings.held_out >= len(data.train_x) - 1:
        raise InputError(
            f"'training.held_out': {settings.held_out} of {len(data.train_x)} training images; "
            "leave some to train on"
        )
    with _reproducible(settings.seed):
        random = torch.Generator().manual_seed(settings.seed)
        x, y = floats(recipe.network, data.train_x), torch.tensor(data.train_y)
        model = build(recipe.network, shape=data.shape, classes=data.classes, pixel=data.type)
        targets = taught(settings, x, y, data, random) if settings.teacher_epochs else None
        kept = len(x) - settings.held_out
        held_out = (x[kept:], y[kept:]) if settings.held_out else None
        objective = Plain(settings, x[:kept], y[:kept], targets, held_out)
        found, history = fit(
            recipe, model, objective, images=kept, random=random,
            machine=machine or Machine(), folder=folder, progress=progress,
        )  # fmt: skip
        assert isinstance(found, nn.Sequential), "fit gives the model back"
        logits = _test_logits(recipe, found, data)
    correct = int((logits.argmax(axis=1) == data.test_y).sum())
    return Trained(recipe, found, data, logits, correct, len(data.test_y), history)


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """One thread, deterministic kernels and seeded generators; the caller's torch is restored."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.set_num_threads(1)  # sums in one order: the same bits on every run
            torch.use_deterministic_algorithms(True)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


@torch.no_grad()
def _test_logits(recipe: Recipe, model: nn.Sequential, data: Dataset) -> Array:
    parts = floats(recipe.network, data.test_x).split(_TEST_BATCH)
    return integer_logits(model, torch.cat([model(part) for part in parts]))
