"""The loop every recipe trains in: epochs on Lightning Fabric, a checkpoint after each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers import TensorBoardLogger
from torch import Tensor, nn

from flow.errors import ClaimError, InputError
from models.objective import Batch, Objective
from models.recipe import Recipe

Progress = Callable[[int, int], None]
Judge = Callable[[int, float], None]  # epoch and held-out score; may raise to end training
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where training runs, in Lightning Fabric's words. Bit for bit the same only on one CPU."""

    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1
    precision: str = "32-true"

    def fabric(self, folder: Path | None) -> Fabric:
        """A launched Fabric that writes TensorBoard scalars into ``folder``.

        Raises:
            InputError: there is no such accelerator here.
        """
        logs = [] if folder is None else [TensorBoardLogger(folder, name="", version="")]
        try:
            made = Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                precision=self.precision,  # type: ignore[arg-type]
                loggers=logs,
            )
        except (RuntimeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise InputError(f"accelerator {self.accelerator!r}: {said}") from None
        made.launch()
        return made


@dataclass(slots=True)
class Course:
    """How far training came: epochs done, mean loss of each, the best score and its epoch."""

    epoch: int = 0
    history: list[float] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0

    def note(self, loss: float, score: float | None) -> bool:
        """Enter an epoch; whether its score is the best so far."""
        self.epoch += 1
        self.history.append(loss)
        better = score is not None and (self.best is None or score > self.best)
        if better:
            self.best, self.best_epoch = score, self.epoch
        return better


def fit(
    recipe: Recipe,
    model: nn.Sequential,
    objective: Objective,
    *,
    examples: Batch,
    random: torch.Generator,
    machine: Machine,
    folder: Path | None = None,
    progress: Progress | None = None,
    judge: Judge | None = None,
) -> tuple[nn.Sequential, tuple[float, ...]]:
    """Train ``model``; the trained model on the CPU and the mean loss of each epoch.

    Adam with a cosine schedule. With held-out images the best epoch by their score is kept, and
    ``patience`` epochs without a better one end training. A checkpoint in ``folder`` is written
    after each epoch; where one of this recipe is found training goes on from it and ends with the
    bits it would have ended with.

    Args:
        examples: training images, of which ``objective`` gets batches.
        random: the order of images.
        judge: called with each epoch's number and held-out score, where there is one.

    Raises:
        InputError: the checkpoint is of another recipe or damaged; no such accelerator.
        ClaimError: the loss is no number any more; the last checkpoint is kept.
    """
    settings, course = recipe.training, Course()
    fabric = machine.fabric(folder)
    optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    wrapped, optimiser = fabric.setup(model, optimiser)
    best: dict[str, Tensor] | None = None
    path = None if folder is None else folder / CHECKPOINT
    if path is not None and path.exists():
        best = _resume(path, recipe, course, model, optimiser, schedule, random)
    while course.epoch < settings.epochs and not _tired(course, settings.patience):
        wrapped.train()
        losses = []
        parts = batches(len(examples), settings.batch, random)
        for number, batch in enumerate(parts):
            done = (course.epoch + number / len(parts)) / settings.epochs
            own = batch[fabric.global_rank :: fabric.world_size]
            loss = objective.loss(wrapped, examples.take(own, device=fabric.device), done=done)
            if not torch.isfinite(loss):
                raise ClaimError(
                    f"recipe {recipe.name!r}: loss {loss.item()} in epoch {course.epoch}; "
                    "lower training.learning_rate"
                )
            optimiser.zero_grad()
            fabric.backward(loss)
            objective.before_step(model, done=done)
            optimiser.step()
            objective.after_step(model, done=done)
            losses.append(loss.item())
        schedule.step()
        score = objective.score(model)
        if course.note(sum(losses) / len(losses), score):
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        _log(fabric, course, score, schedule.get_last_lr()[0])
        if path is not None and fabric.is_global_zero:
            _save(path, recipe, course, model, optimiser, schedule, random, best)
        if progress is not None:
            progress(course.epoch, settings.epochs)
        if judge is not None and score is not None:
            judge(course.epoch, score)
    if best is not None:
        model.load_state_dict(best)
    for logger in fabric.loggers:
        logger.finalize("success")
    return model.cpu().eval(), tuple(course.history)


def batches(images: int, size: int, random: torch.Generator) -> list[Tensor]:
    """A random order of all images, cut into batches; BatchNorm cannot take a batch of one."""
    parts = torch.randperm(images, generator=random).split(size)
    return [part for part in parts if len(part) > 1]


def _tired(course: Course, patience: int) -> bool:
    return bool(patience) and course.epoch - course.best_epoch >= patience


def _log(fabric: Fabric, course: Course, score: float | None, rate: float) -> None:
    values = {"loss": course.history[-1], "learning_rate": rate}
    if score is not None:
        values["held_out"] = score
    fabric.log_dict(values, step=course.epoch)


def _save(
    path: Path,
    recipe: Recipe,
    course: Course,
    model: nn.Module,
    optimiser: Any,
    schedule: Any,
    random: torch.Generator,
    best: dict[str, Tensor] | None,
) -> None:
    """Write the whole state under a temporary name, then rename it."""
    state = {
        "recipe": recipe.model_dump_json(),
        "course": (course.epoch, course.history, course.best, course.best_epoch),
        "model": model.state_dict(),
        "scales": {
            name: (module.counter, module.buffer, module.value.detach())
            for name, module in _collecting(model)
        },
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "random": random.get_state(),
        "torch": torch.get_rng_state(),
        "best": best,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(state, temporary)
    temporary.replace(path)


def _collecting(model: nn.Module) -> list[tuple[str, Any]]:
    """Activation quantizers, which set their scale by the statistics of their first batches.

    How many batches they have seen, and what in them, is not in Brevitas's state of a model: a
    loaded one has done with collecting.
    """
    return [
        (name, module)
        for name, module in model.named_modules()
        if hasattr(module, "collect_stats_steps")
    ]


def _resume(
    path: Path,
    recipe: Recipe,
    course: Course,
    model: nn.Module,
    optimiser: Any,
    schedule: Any,
    random: torch.Generator,
) -> dict[str, Tensor] | None:
    """Take up the state at ``path``; the best weights so far, if any."""
    try:
        state = torch.load(path, weights_only=True)
        if state["recipe"] != recipe.model_dump_json():
            raise InputError(f"{path}: a checkpoint of another recipe; remove it to train anew")
        model.load_state_dict(state["model"])
        for name, module in _collecting(model):
            module.counter, buffer, value = state["scales"][name]
            module.buffer.copy_(buffer)
            module.value.data.copy_(value)
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        random.set_state(state["random"])
        torch.set_rng_state(state["torch"])
        course.epoch, course.history, course.best, course.best_epoch = state["course"]
        best: dict[str, Tensor] | None = state["best"]
    except InputError:
        raise
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, TypeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: damaged checkpoint ({said}); remove it to train anew") from None
    return best
