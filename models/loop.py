"""The loop every recipe trains in: epochs on Lightning Fabric, a checkpoint after each of them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers import TensorBoardLogger
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor, nn

from flow.atomic import write_atomic
from flow.errors import ClaimError, InputError
from models.brevitas_api import load_in_place
from models.objective import Batch, Objective
from models.recipe import Recipe

Progress = Callable[[int, int], None]
Judge = Callable[[int, float], None]  # epoch and held-out score; may raise to end training
CHECKPOINT = "checkpoint.pt"
_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_UNUSED = "ddp_find_unused_parameters_true"  # gates that are fixed, ranges of weights


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
            InputError: there is no such accelerator or precision here, or the folder cannot be
                written.
        """
        if self.precision not in _PRECISIONS:
            raise InputError(
                f"precision {self.precision!r}: weights stay float32; choose "
                f"{', '.join(_PRECISIONS)}"
            )
        if folder is not None:
            _made(folder)
        logs = [] if folder is None else [TensorBoardLogger(folder, name="", version="")]
        try:
            made = Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                precision=self.precision,  # type: ignore[arg-type]
                strategy=_UNUSED if self.devices * self.nodes > 1 else "auto",
                loggers=logs,
            )
        except (RuntimeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise InputError(f"accelerator {self.accelerator!r}: {said}") from None
        made.launch()
        return made


def leading() -> bool:
    """Whether this process speaks for all that train together; alone, it does."""
    rank: int | None = getattr(rank_zero_only, "rank", None)
    return not rank


def _made(folder: Path) -> None:
    """The folder, before hours of training find that it cannot be there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: no folder for checkpoints ({error.strerror}); choose another place"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: no permission to write checkpoints; choose another place")


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
        ClaimError: the loss or a weight is no number any more; the last checkpoint is kept.
    """
    run = _Run.of(recipe, model, objective, examples, random, machine.fabric(folder))
    path = None if folder is None else folder / CHECKPOINT
    if path is not None and path.exists():
        run.resume(path)
    settings, course = recipe.training, run.course
    while course.epoch < settings.epochs and not _tired(course, settings.patience):
        score = run.epoch()
        if path is not None and run.fabric.is_global_zero:
            run.save(path)
        if progress is not None:
            progress(course.epoch, settings.epochs)
        if judge is not None and score is not None:
            judge(course.epoch, score)
    return run.finish(), tuple(course.history)


def batches(images: int, size: int, random: torch.Generator) -> list[Tensor]:
    """A random order of all images, cut into batches; BatchNorm cannot take a batch of one."""
    parts = torch.randperm(images, generator=random).split(size)
    return [part for part in parts if len(part) > 1]


def _tired(course: Course, patience: int) -> bool:
    return bool(patience) and course.epoch - course.best_epoch >= patience


@dataclass(slots=True)
class _Run:
    """A training run between two epochs, with all that its checkpoint holds."""

    recipe: Recipe
    model: nn.Sequential
    objective: Objective
    examples: Batch
    random: torch.Generator  # the order of images
    fabric: Fabric
    wrapped: nn.Module  # the model as Fabric runs it
    optimiser: Any
    schedule: Any
    course: Course = field(default_factory=Course)
    best: dict[str, Tensor] | None = None  # weights of the best epoch so far

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        model: nn.Sequential,
        objective: Objective,
        examples: Batch,
        random: torch.Generator,
        fabric: Fabric,
    ) -> _Run:
        """A run in front of its first epoch."""
        settings = recipe.training
        optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
        wrapped, optimiser = fabric.setup(model, optimiser)
        return cls(recipe, model, objective, examples, random, fabric, wrapped, optimiser, schedule)

    def epoch(self) -> float | None:
        """Train on every image once, judge, and note what came of it; the score."""
        self.wrapped.train()
        parts = batches(len(self.examples), self.recipe.training.batch, self.random)
        losses = []
        for number, batch in enumerate(parts):
            done = (self.course.epoch + number / len(parts)) / self.recipe.training.epochs
            losses.append(self._step(batch, done))
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise self._diverged("a weight that is no number")
        self.schedule.step()
        score = self.objective.score(self.model)
        if self.course.note(sum(losses) / len(losses), score):
            self.best = {k: value.detach().clone() for k, value in self.model.state_dict().items()}
        self._log(score)
        return score

    def _step(self, batch: Tensor, done: float) -> float:
        """One step on the images numbered so; the loss in front of it."""
        fabric, objective = self.fabric, self.objective
        own = batch[fabric.global_rank :: fabric.world_size]
        examples = self.examples.take(own, device=fabric.device)
        loss = objective.loss(self.wrapped, examples, done=done)
        if not torch.isfinite(loss):
            raise self._diverged(f"loss {loss.item()}")
        self.optimiser.zero_grad()
        fabric.backward(loss)
        objective.before_step(self.model, done=done)
        self.optimiser.step()
        objective.after_step(self.model, done=done)
        return loss.item()

    def _diverged(self, what: str) -> ClaimError:
        return ClaimError(
            f"recipe {self.recipe.name!r}: {what} in epoch {self.course.epoch}; lower "
            "training.learning_rate"
        )

    def _log(self, score: float | None) -> None:
        course = self.course
        values = {"loss": course.history[-1], "learning_rate": self.schedule.get_last_lr()[0]}
        if score is not None:
            values["held_out"] = score
        self.fabric.log_dict(values, step=course.epoch)

    def finish(self) -> nn.Sequential:
        """The model of the best epoch, or of the last one, on the CPU and in evaluation mode."""
        if self.best is not None:
            load_in_place(self.model, self.best)
        for logger in self.fabric.loggers:
            logger.finalize("success")
        return self.model.cpu().eval()

    def save(self, path: Path) -> None:
        """Write the whole state, atomically.

        Raises:
            InputError: the disk is full; the checkpoint before it is unchanged.
        """
        course = self.course
        state = {
            "recipe": self.recipe.model_dump_json(),
            "course": (course.epoch, course.history, course.best, course.best_epoch),
            "model": self.model.state_dict(),
            "scales": {
                name: (module.counter, module.buffer, module.value.detach())
                for name, module in _collecting(self.model)
            },
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.random.get_state(),
            "torch": torch.get_rng_state(),
            "best": self.best,
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_atomic(path, content.getvalue())

    def resume(self, path: Path) -> None:
        """Take up the state at ``path``.

        Raises:
            InputError: it is of another recipe, or damaged.
        """
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            if state["recipe"] != self.recipe.model_dump_json():
                raise InputError(f"{path}: a checkpoint of another recipe; remove it to train anew")
            self._take_up(state)
        except InputError:
            raise
        except (OSError, EOFError, KeyError, ValueError, RuntimeError, TypeError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{path}: damaged checkpoint ({said}); remove it to train anew"
            ) from None

    def _take_up(self, state: dict[str, Any]) -> None:
        load_in_place(self.model, state["model"])
        for name, module in _collecting(self.model):
            module.counter, buffer, value = state["scales"][name]
            module.buffer.copy_(buffer)
            module.value.data.copy_(value)
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.random.set_state(state["random"])
        torch.set_rng_state(state["torch"])
        course = self.course
        course.epoch, course.history, course.best, course.best_epoch = state["course"]
        self.best = state["best"]


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
