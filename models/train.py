"""Train the network of a recipe; the same recipe gives the same network.

    bitproof train models/recipes/tfc-digits-w1a1.toml -o build/tfc-digits-w1a1/model.onnx
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow.errors import ClaimError, InputError
from models.data import Dataset
from models.fully_connected import fully_connected
from models.recipe import Recipe, Training

Progress = Callable[[int, int], None]
TEACHER_WIDTH = 256
TEACHER_SOFTNESS = 2.0  # divides the teacher's logits: softer targets say more about classes


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """A trained network in evaluation mode, and what it got right."""

    recipe: Recipe
    model: nn.Module
    data: Dataset
    correct: int
    total: int

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
    settings = recipe.training
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # sums in one order: the same bits on every run
    torch.manual_seed(settings.seed)
    random = torch.Generator().manual_seed(settings.seed)
    x, y = _floats(data.train_x), torch.tensor(data.train_y)
    model = fully_connected(
        recipe.network, inputs=x.shape[1], classes=data.classes, pixel=data.type
    )
    targets = _taught(settings, x, y, data, random) if settings.teacher_epochs else None
    optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    model.train()
    for epoch in range(settings.epochs):
        for batch in torch.randperm(len(x), generator=random).split(settings.batch):
            logits = model(x[batch]) / settings.temperature
            loss = functional.cross_entropy(logits, y[batch])
            if targets is not None:
                loss = (loss + functional.cross_entropy(logits, targets[batch])) / 2
            if not torch.isfinite(loss):
                raise ClaimError(
                    f"recipe {recipe.name!r}: loss {loss.item()} in epoch {epoch}; "
                    "lower training.learning_rate"
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if recipe.network.weight_bits == 1:
                _clip(model)
        schedule.step()
        if progress is not None:
            progress(epoch + 1, settings.epochs)
    model.eval()
    with torch.no_grad():
        classes = model(_floats(data.test_x)).argmax(dim=1)
    correct = int((classes == torch.tensor(data.test_y)).sum())
    return Trained(recipe, model, data, correct, len(data.test_y))


def _floats(x: object) -> Tensor:
    return torch.tensor(x, dtype=torch.float32).flatten(1)


def _clip(model: nn.Module) -> None:
    """Latent binary weights stay in [-1, 1], so that every sign can still turn."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("weight") and weight.ndim == 2:
                weight.clamp_(-1, 1)


def _taught(
    settings: Training, x: Tensor, y: Tensor, data: Dataset, random: torch.Generator
) -> Tensor:
    """Soft targets (images, classes) of a float network trained here on the same images."""
    pixels = x / data.type.hi
    teacher = nn.Sequential(
        nn.Linear(x.shape[1], TEACHER_WIDTH),
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
        for batch in torch.randperm(len(x), generator=random).split(settings.batch):
            loss = functional.cross_entropy(teacher(pixels[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    teacher.eval()
    with torch.no_grad():
        return functional.softmax(teacher(pixels) / TEACHER_SOFTNESS, dim=1)
