"""The frozen networks of models/zoo: what zoo.toml says of each, and how one is made.

python -m models.frozen NAME ...    writes the files again and prints their rows' checksums

A trained one reads its data as `bitproof train` does, from the folder `data`.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from flow.atomic import write_atomic
from flow.errors import InputError
from flow.graphfile import digest
from flow.ingest import lower
from flow.ir import IntType
from models.data import load_dataset
from models.export import export, qonnx_file
from models.networks import floats, random_network
from models.recipe import Network, Positive, Table, load_recipe
from models.train import train

FOLDER = Path(__file__).parent / "zoo"
RECIPES = FOLDER.with_name("recipes")


class Entry(Table):
    """A row: the network, where its weights come from, and what the files of it must be.

    Weights are random, of the ``network`` in the row, or trained by ``recipe``, a file of
    models/recipes; then ``correct`` of ``images`` test images are classified rightly. A file is
    kept because another machine's torch may train or calibrate to other last bits.
    """

    name: str
    weights: Literal["random", "trained"]
    seed: int
    shape: list[Positive]
    classes: Positive
    sha256: str = ""
    digest: str = ""  # of the graph lowered from it
    network: Network | None = Field(default=None, discriminator="kind")
    recipe: str = ""
    correct: int = 0
    images: int = 0

    @property
    def path(self) -> Path:
        """The QONNX file."""
        return FOLDER / f"{self.name}.onnx"

    @property
    def dataset(self) -> str:
        """What a trained one was trained on."""
        return load_recipe(RECIPES / f"{self.recipe}.toml").dataset


def entries() -> tuple[Entry, ...]:
    """Every row of zoo.toml, in order."""
    rows = tomllib.loads((FOLDER / "zoo.toml").read_text())["entry"]
    return tuple(Entry.model_validate(row) for row in rows)


def freeze(entry: Entry) -> tuple[str, str]:
    """Make the entry's network and write its file; its SHA-256 and its graph's digest."""
    blob = _random(entry) if entry.network is not None else _trained(entry)
    write_atomic(entry.path, blob)
    return hashlib.sha256(blob).hexdigest(), digest(lower(entry.path).graph)


def _trained(entry: Entry) -> bytes:
    recipe = load_recipe(RECIPES / f"{entry.recipe}.toml")
    training = recipe.training.model_copy(update={"seed": entry.seed})
    recipe = recipe.model_copy(update={"training": training})
    return export(train(recipe, load_dataset(recipe.dataset, root=Path("data"))))


def _random(entry: Entry) -> bytes:
    assert entry.network is not None, "checked by the caller"
    pixel, shape = IntType(8), tuple(entry.shape)
    model = random_network(
        entry.network, shape=shape, classes=entry.classes, pixel=pixel, seed=entry.seed
    )
    example = floats(entry.network, np.zeros((1, *shape), dtype=np.int64))
    properties = {"bitproof.recipe": entry.name, "bitproof.seed": str(entry.seed)}
    return qonnx_file(model, example, pixel, properties)


def main(names: list[str]) -> None:
    """Freeze the named entries, or say which there are."""
    rows = {entry.name: entry for entry in entries()}
    if not names or set(names) - set(rows):
        raise InputError(f"name networks of zoo.toml: {', '.join(rows)}")
    for name in names:
        sha256, graph = freeze(rows[name])
        print(f'{name}\nsha256 = "{sha256}"\ndigest = "{graph}"')


if __name__ == "__main__":
    main(sys.argv[1:])
