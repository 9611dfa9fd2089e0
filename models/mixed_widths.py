"""The bits of each layer's weights, chosen for a recipe from a network of fine weights.

bitproof widths models/recipes/tfc-digits-w4a4.toml -o build/mixed.toml
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from flow.atomic import write_atomic
from flow.errors import InputError
from models.data import Dataset, load_dataset
from models.lipschitz import Sensitivity, cheapest, sensitivities
from models.loop import CHECKPOINT, Progress
from models.networks import build
from models.recipe import Convolutional, Recipe, load_recipe, recipe_of
from models.toml_text import toml
from models.train import train


def choose_widths(
    recipe_path: Path,
    output: Path,
    *,
    data_root: Path,
    least: int,
    most: int,
    budget: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the recipe with weights of ``most`` bits, and write it with a width for each layer.

    The widths, from ``least`` to ``most``, are those with the least bound on what rounding does to
    the logits (``models.lipschitz``) among all that store at most ``budget`` bits; without one,
    as many as the recipe's own widths store. A killed run goes on from its checkpoint.

    Raises:
        InputError: the recipe cannot be used, has a network of one width only, or no choice is
            within the budget.
        ClaimError: training diverged.
    """
    if not 2 <= least <= most <= 8:
        raise InputError(f"--least {least}, --most {most}: give 2 to 8, the least first")
    if output.is_dir():
        raise InputError(f"{output}: a folder; name the file to write")
    recipe = load_recipe(recipe_path)
    if isinstance(recipe.network, Convolutional):
        raise InputError(
            f"{recipe_path}: network {recipe.network.kind!r} has one width for all layers; choose "
            "a fully-connected or stack network"
        )
    data, choices = load_dataset(recipe.dataset, root=data_root), range(least, most + 1)
    sizes = _sizes(recipe, data)
    budget = _stored(sizes, recipe.network.widths) if budget is None else budget
    cheapest([dict.fromkeys(choices, 0.0) for _ in sizes], sizes, budget=budget)  # before training
    folder = output.with_name(f"{output.name}.training")
    fine = _with_widths(recipe, most, where=str(recipe_path))
    trained = train(fine, data, folder=folder, progress=progress)
    found = sensitivities(trained.model)
    widths = cheapest([{b: s.cost(b) for b in choices} for s in found], sizes, budget=budget)
    chosen = _with_widths(recipe, list(widths), where=str(output))
    write_atomic(output, toml(chosen.model_dump(mode="json", exclude_unset=True)).encode())
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return {
        "name": chosen.name,
        "weight_bits": list(widths),
        "stored_bits": _stored(sizes, widths),
        "budget": budget,
        "accuracy_of_reference": trained.accuracy,
        "layers": [_row(k, s, b) for k, (s, b) in enumerate(zip(found, widths, strict=True))],
    }


def _stored(sizes: Sequence[int], widths: Sequence[int]) -> int:
    return sum(size * bits for size, bits in zip(sizes, widths, strict=True))


def _sizes(recipe: Recipe, data: Dataset) -> list[int]:
    """The weights of each layer; refuses a network without Lipschitz constants, untrained."""
    with torch.random.fork_rng(devices=[]):
        model = build(recipe.network, shape=data.shape, classes=data.classes, pixel=data.type)
    return [layer.weights for layer in sensitivities(model.eval())]


def _row(number: int, layer: Sensitivity, bits: int) -> dict[str, Any]:
    known = {"weights": layer.weights, "constant": layer.constant, "behind": layer.behind}
    return {"layer": number, **known, "bits": bits, "cost": layer.cost(bits)}


def _with_widths(recipe: Recipe, bits: int | list[int], *, where: str) -> Recipe:
    """The recipe of other widths, checked again: a method may refuse them."""
    values = recipe.model_dump(mode="json", exclude_unset=True)
    values["network"]["weight_bits"] = bits
    return recipe_of(values, where=where)
