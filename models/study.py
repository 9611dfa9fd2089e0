"""A study: networks by their recipes, several seeds each, the same measures on all, one table.

bitproof study qa-ibp --seeds 3

A cell is one recipe at one seed. Its numbers are a JSON file, written when it is done, with the
recipe and the measures that made it; a study that is started again does what is missing or was made
from other settings. Cells in the middle of training go on from their checkpoint.
"""

from __future__ import annotations

import json
import platform
import shutil
import tomllib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Annotated, Any

from pydantic import Field, ValidationError

from flow.atomic import write_json
from flow.errors import InputError
from flow.fitting import fit
from models.data import Dataset, load_dataset
from models.executed import decided, lowered
from models.export import export
from models.measures import AnyMeasure
from models.measures.measure import Subject
from models.recipe import Recipe, recipe_of
from models.table import Positive, Table
from models.train import train

FOLDER = Path(__file__).parent / "studies"
Title = Callable[[str], Any]
ACCURACY = "accuracy"


class Row(Table):
    """A row of the table: what its recipe has that the base has not."""

    label: str
    recipe: dict[str, Any] = Field(default={})  # merged into the base, tables key by key
    run: bool = True  # False: a recipe for another machine; its row reads "not run"


class Study(Table):
    """A file of models/studies."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    seeds: Positive = 3
    base: dict[str, Any]  # a recipe without name and seed
    measure: list[AnyMeasure] = Field(min_length=1)
    row: list[Row] = Field(min_length=1)

    def recipe(self, row: Row, seed: int) -> Recipe:
        """The recipe of a cell.

        Raises:
            InputError: it is no recipe; names the row and the key.
        """
        values = _merged(self.base, row.recipe)
        values["training"] = {**values.get("training", {}), "seed": seed}
        return recipe_of({"name": self.name, **values}, where=f"study {self.name!r}, {row.label!r}")


def load_study(name: str) -> Study:
    """The study of that name, every recipe in it checked.

    Raises:
        InputError: there is none, or it is not one; names row and key.
    """
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml")))
        raise InputError(f"study {name!r}: unknown; choose from {known}")
    try:
        study = Study.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not a TOML file ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where!r}: {first['msg']}; got {first['input']!r}") from None
    for row in study.row:
        study.recipe(row, 0)
    return study


def run_study(
    study: Study, *, seeds: int, results: Path, data_root: Path, progress: Title
) -> dict[str, Any]:
    """Do every cell that is missing; the study's record, with its table as ``markdown``."""
    loaded: dict[str, Dataset] = {}
    rows: list[tuple[Row, list[dict[str, Any]]]] = []
    for number, row in enumerate(study.row):
        cells: list[dict[str, Any]] = []
        for seed in range(seeds if row.run else 0):
            recipe = study.recipe(row, seed)
            path = results / study.name / f"{number:02}-seed{seed}.json"
            asked = {
                "row": row.label,
                "recipe": recipe.model_dump(mode="json", exclude_defaults=True),
                "measures": [m.model_dump(mode="json") for m in study.measure],
            }
            if (found := _known(path, asked)) is None:
                if recipe.dataset not in loaded:
                    loaded[recipe.dataset] = load_dataset(recipe.dataset, root=data_root)
                with progress(f"{study.name}: {row.label}, seed {seed}") as step:
                    found = _cell(study, recipe, loaded[recipe.dataset], path, step)
                write_json(path, {**asked, **found})
            cells.append(found)
        rows.append((row, cells))
    return {"study": study.name, "seeds": seeds, "markdown": markdown(study, rows)}


def _cell(
    study: Study, recipe: Recipe, data: Dataset, path: Path, step: Callable[[int, int], None]
) -> dict[str, Any]:
    """Train, export, lower, measure.

    Raises:
        ClaimError: the integer graph decides otherwise than the trained model.
    """
    started = perf_counter()
    folder = path.with_suffix(".training")
    trained = train(recipe, data, folder=folder, progress=step)
    seconds = round(perf_counter() - started, 1)
    graph = lowered(export(trained))
    x, train_x = (fit(graph, part, name=data.name) for part in (data.test_x, data.train_x))
    right = decided(graph, trained).right
    subject = Subject(graph, trained, (train_x, data.train_y), (x, data.test_y), right)
    numbers = {ACCURACY: 100 * float(right.mean())}
    for measure in study.measure:
        numbers |= measure.take(subject)
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "numbers": numbers,
        "images": len(x),
        "seconds_training": seconds,
        "seconds": round(perf_counter() - started, 1),
        "machine": f"{platform.system()} {platform.machine()}, one CPU thread",
        "versions": {name: version(name) for name in ("torch", "brevitas", "numpy")},
    }


def _known(path: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cell at ``path`` if it was made from the same settings."""
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise InputError(f"{path}: damaged; remove it to measure anew") from None
    if any(found.get(key) != value for key, value in asked.items()):
        return None
    return dict(found)


def markdown(study: Study, rows: list[tuple[Row, list[dict[str, Any]]]]) -> str:
    """The table: mean over seeds, and the standard deviation where there are several."""
    columns = list(dict.fromkeys(c for _, cells in rows for d in cells for c in d["numbers"]))
    columns = columns or [ACCURACY]
    lines = [f"| {study.title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row, cells in rows:
        shown = [_spread([d["numbers"][c] for d in cells if c in d["numbers"]]) for c in columns]
        lines.append(f"| {row.label} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    if not values:
        return "not run"
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``; tables are merged key by key, unless their kind is
    another."""
    found = dict(base)
    for key, value in over.items():
        old = found.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        same = both and ("kind" not in value or value["kind"] == old.get("kind"))
        found[key] = _merged(old, value) if same else value
    return found
