"""A float network trained on the same images, whose soft answers teach the quantized one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.data import Dataset
from models.loop import batches
from models.recipe import Training

WIDTH = 256
SOFTNESS = 2.0  # divides the teacher's logits: softer targets say more about classes


def taught(
    settings: Training, x: Tensor, y: Tensor, data: Dataset, random: torch.Generator
) -> Tensor:
    """Soft targets (images, classes) of a float network trained here on the same images."""
    pixels = x.flatten(1) / data.type.hi
    teacher = nn.Sequential(
        nn.Linear(pixels.shape[1], WIDTH),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(WIDTH, data.classes),
    )
    optimiser = torch.optim.Adam(teacher.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.teacher_epochs)
    for _ in range(settings.teacher_epochs):
        for batch in batches(len(x), settings.batch, random):
            loss = functional.cross_entropy(teacher(pixels[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    teacher.eval()
    with torch.no_grad():
        return functional.softmax(teacher(pixels) / SOFTNESS, dim=1)
