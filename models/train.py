"""Train the network of a recipe; the same recipe gives the same network.

bitproof train models/recipes/tfc-digits-w1a1.toml -o build/tfc-digits-w1a1/model.onnx
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow.errors import ClaimError, InputError
from flow.ir import Array
from models.data import Dataset
from models.networks import build, floats, integer_logits
from models.recipe import Recipe, Training

Progress = Callable[[int, int], None]
TEACHER_WIDTH = 256
_TEST_BATCH = 1000
TEACHER_SOFTNESS = 2.0  # divides the teacher's logits: softer targets say more about classes


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


def train(recipe: Recipe, data: Dataset, *, progress: Progress | None = None) -> Trained:
    """Train on the training images only; the last epoch counts, no epoch is chosen by the test set.

    Raises:
        InputError: the recipe's network does not fit the data.
        ClaimError: the loss is no number any more.
    """
    if data.type.signed:
        raise InputError(f"data set {data.name!r}: pixels of type {data.type}; needs unsigned ones")
    with _reproducible(recipe.training.seed):
        model, history = _trained(recipe, data, progress)
        logits = _test_logits(recipe, model, data)
    correct = int((logits.argmax(axis=1) == data.test_y).sum())
    return Trained(recipe, model, data, logits, correct, len(data.test_y), history)


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


def _trained(
    recipe: Recipe, data: Dataset, progress: Progress | None
) -> tuple[nn.Sequential, tuple[float, ...]]:
    """The network in evaluation mode, and the mean loss of each epoch."""
    settings = recipe.training
    random = torch.Generator().manual_seed(settings.seed)
    x, y = floats(recipe.network, data.train_x), torch.tensor(data.train_y)
    model = build(recipe.network, shape=data.shape, classes=data.classes, pixel=data.type)
    targets = _taught(settings, x, y, data, random) if settings.teacher_epochs else None
    optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    history = []
    model.train()
    for epoch in range(settings.epochs):
        losses = []
        for batch in _batches(len(x), settings.batch, random):
            logits = model(x[batch]) / settings.temperature
            loss = functional.cross_entropy(logits, y[batch])
            if targets is not None:
                loss = (loss + functional.cross_entropy(logits, targets[batch])) / 2
            if not torch.isfinite(loss):
                raise ClaimError(
                    f"recipe {recipe.name!r}: loss {loss.item()} in epoch {epoch}; "
                    "lower training.learning_rate"
                )
            _step(optimiser, loss)
            losses.append(loss.item())
        schedule.step()
        history.append(sum(losses) / len(losses))
        if progress is not None:
            progress(epoch + 1, settings.epochs)
    return model.eval(), tuple(history)


def _batches(images: int, size: int, random: torch.Generator) -> list[Tensor]:
    """A random order of all images, cut into batches; BatchNorm cannot take a batch of one."""
    batches = torch.randperm(images, generator=random).split(size)
    return [batch for batch in batches if len(batch) > 1]


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@torch.no_grad()
def _test_logits(recipe: Recipe, model: nn.Sequential, data: Dataset) -> Array:
    parts = floats(recipe.network, data.test_x).split(_TEST_BATCH)
    return integer_logits(model, torch.cat([model(part) for part in parts]))


def _taught(
    settings: Training, x: Tensor, y: Tensor, data: Dataset, random: torch.Generator
) -> Tensor:
    """Soft targets (images, classes) of a float network trained here on the same images."""
    pixels = x.flatten(1) / data.type.hi
    teacher = nn.Sequential(
        nn.Linear(pixels.shape[1], TEACHER_WIDTH),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(TEACHER_WIDTH, TEACHER_WIDTH),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(TEACHER_WIDTH, data.classes),
    )
    optimiser = torch.optim.Adam(teacher.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.teacher_epochs)
    for _ in range(settings.teacher_epochs):
        for batch in _batches(len(x), settings.batch, random):
            _step(optimiser, functional.cross_entropy(teacher(pixels[batch]), y[batch]))
        schedule.step()
    teacher.eval()
    with torch.no_grad():
        return functional.softmax(teacher(pixels) / TEACHER_SOFTNESS, dim=1)
