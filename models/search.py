"""Search over recipes: choices for keys of one recipe, tried by Optuna, kept in an SQLite file.

bitproof search models/searches/tfc-digits.toml --trials 20 -o build/search/tfc-digits.db
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from flow.errors import ClaimError, InputError
from flow.ir import Graph
from flow.schedule import choose_folding, dataflow, interval
from flow.schedule.area import expected
from models.data import Dataset, load_dataset
from models.executed import lowered
from models.export import export
from models.recipe import Recipe, recipe_of
from models.toml_text import toml
from models.train import train

Progress = Callable[[int, int], None]
_OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_REFUSED = "refused"
_STARTUP = 5  # trials at random, and none of them stopped early


class Cost(StrEnum):
    """A second objective, of the hardware that the integer graph becomes."""

    NONE = "none"
    CYCLES = "cycles"  # per image, in the default folding
    LUT = "lut"  # by the resource model, of the least folding for so many cycles


@dataclass(frozen=True, slots=True)
class Space:
    """A recipe and, for some of its keys, the values to choose from."""

    name: str
    base: dict[str, Any]
    choices: dict[str, list[Any]]

    def recipe(self, picked: Mapping[str, Any]) -> Recipe:
        """The recipe with these values, by dotted key.

        Raises:
            InputError: they do not go together; names the key.
        """
        values = deepcopy(self.base)
        for key, value in picked.items():
            _put(values, key, value)
        return recipe_of(values, where=self.name)


def load_space(path: Path) -> Space:
    """Read a recipe that has a ``[search]`` table: dotted keys with lists of values.

    Raises:
        InputError: no such file, no TOML, no list, no such key, or the first values are no recipe.
    """
    try:
        base = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from None
    choices = base.pop("search", None)
    if not isinstance(choices, dict) or not choices:
        raise InputError(f'{path}: no [search] table; add one: "network.weight_bits" = [2, 4]')
    for key, values in choices.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{path}: 'search.{key}': needs a list of values; got {values!r}")
    space = Space(str(path), base, choices)
    found = space.recipe({key: values[0] for key, values in choices.items()})
    if not found.training.held_out:
        raise InputError(f"{path}: 'training.held_out': 0; a search needs images to judge by")
    return space


def search(
    space: Space,
    database: Path,
    *,
    trials: int,
    data_root: Path,
    cost: Cost = Cost.NONE,
    cycles: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Try recipes until the study in ``database`` has ``trials``; all of them, the best first.

    The objective is the best held-out accuracy of an epoch; test images are not looked at. Without
    a cost a trial that is worse than half of the others at its epoch is stopped. With one the first
    rows are those that no other beats in both. A trial that was killed is tried again. Choices that
    do not go together, or whose training diverges, fail and are not tried again.

    Raises:
        InputError: ``database`` is of another search, or the data cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = _opened(space, database, cost, cycles)
    _again(study)
    data = load_dataset(space.recipe({k: v[0] for k, v in space.choices.items()}).dataset,
                        root=data_root)  # fmt: skip

    def attempt(trial: Trial) -> float | tuple[float, float]:
        try:
            return _evaluated(trial, space, data, cost, cycles)
        except (InputError, ClaimError) as error:
            trial.set_user_attr(_REFUSED, str(error))
            raise

    while (done := len(_tried(study))) < trials:
        if progress is not None:
            progress(done, trials)
        study.sampler = optuna.samplers.TPESampler(
            seed=space.base.get("training", {}).get("seed", 0) + done, n_startup_trials=_STARTUP
        )
        study.optimize(attempt, n_trials=1, catch=(InputError, ClaimError))
    return _rows(study, space, cost)


def _evaluated(
    trial: Trial, space: Space, data: Dataset, cost: Cost, cycles: int | None
) -> float | tuple[float, float]:
    """The best held-out accuracy of an epoch, and what the network costs where that is asked."""
    recipe, best = space.recipe(_picked(trial, space)), 0.0

    def judge(epoch: int, score: float) -> None:
        nonlocal best
        best = max(best, score)
        if cost is Cost.NONE:
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    trained = train(recipe, data, judge=judge)
    if cost is Cost.NONE:
        return best
    return best, float(hardware_cost(lowered(export(trained)), cost, cycles))


def hardware_cost(graph: Graph, cost: Cost, cycles: int | None) -> int:
    """Cycles per image of the default folding, or tables of the least one within ``cycles``."""
    folding = choose_folding(graph, cycles=cycles)
    if cost is Cost.CYCLES:
        return interval(graph, folding)
    return sum(r.lut for r in expected(dataflow(graph, folding).units, graph.edges()))


def _opened(space: Space, database: Path, cost: Cost, cycles: int | None) -> optuna.Study:
    database.parent.mkdir(parents=True, exist_ok=True)
    asked = json.dumps([space.base, space.choices, cost, cycles], sort_keys=True)
    directions = ["maximize"] if cost is Cost.NONE else ["maximize", "minimize"]
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{database}",
            study_name="search",
            directions=directions,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP),
            load_if_exists=True,
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{database}: no Optuna study ({said}); give another file") from None
    if study.user_attrs.setdefault("asked", asked) != asked:
        raise InputError(f"{database}: of another search; remove it or give another file")
    study.set_user_attr("asked", asked)
    return study


def _picked(trial: Trial, space: Space) -> dict[str, Any]:
    """One value for each key; lists are chosen by their text, which is all Optuna stores."""
    return {
        key: json.loads(trial.suggest_categorical(key, [json.dumps(v) for v in values]))
        for key, values in space.choices.items()
    }


def _again(study: optuna.Study) -> None:
    """Try what was killed again, next and once."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.FAIL)):
        mark = f"again {trial.number}"
        if _REFUSED in trial.user_attrs or mark in study.user_attrs:
            continue
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
        study.set_user_attr(mark, True)


def _tried(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end of their own."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False, states=_OVER)
        if trial.state is not TrialState.FAIL or _REFUSED in trial.user_attrs
    ]


def _rows(study: optuna.Study, space: Space, cost: Cost) -> list[dict[str, Any]]:
    front = {trial.number for trial in study.best_trials} if _any_complete(study) else set()

    def order(trial: FrozenTrial) -> tuple[bool, float]:
        value = trial.values[0] if trial.state is TrialState.COMPLETE else -1.0
        return trial.number not in front, -value

    rows = []
    for trial in sorted(_tried(study), key=order):
        row = {"trial": trial.number, "state": trial.state.name.lower()}
        row |= {key: json.loads(trial.params[key]) for key in space.choices if key in trial.params}
        whole = trial.state is TrialState.COMPLETE
        row["held_out"] = round(100 * trial.values[0], 2) if whole else ""
        if cost is not Cost.NONE:
            row[str(cost)] = int(trial.values[1]) if whole else ""
        rows.append({**row, "best": trial.number in front})
    return rows


def _any_complete(study: optuna.Study) -> bool:
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def best_recipe(space: Space, rows: list[dict[str, Any]]) -> str:
    """The recipe of the first row as TOML.

    Raises:
        ClaimError: no trial was completed.
    """
    if not rows or not rows[0]["best"]:
        raise ClaimError(f"{space.name}: no trial was completed; raise --trials")
    picked = {key: rows[0][key] for key in space.choices}
    return toml(space.recipe(picked).model_dump(mode="json", exclude_unset=True))


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    place: Any = values
    *path, last = key.split(".")
    try:
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[int(last) if isinstance(place, list) else last] = value
    except (KeyError, IndexError, ValueError, TypeError):
        raise InputError(f"'search.{key}': the recipe has no such table") from None
