"""A training recipe: one TOML file, checked before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flow.errors import InputError

Positive = Annotated[int, Field(gt=0)]
Bits = Annotated[int, Field(ge=1, le=8)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Network(_Table):
    """What is trained: fully connected layers, BatchNorm between them."""

    kind: Literal["fully-connected"]
    hidden: list[Positive] = Field(min_length=1)
    weight_bits: Bits
    activation_bits: Bits


class Training(_Table):
    """How it is trained: Adam with a cosine schedule, optionally taught by a float network."""

    epochs: Positive
    batch: Annotated[int, Field(ge=2)]  # BatchNorm cannot take a batch of one
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    temperature: Annotated[float, Field(gt=0)] = 1.0  # divides the logits in the loss only
    teacher_epochs: Annotated[int, Field(ge=0)] = 0  # 0: no teacher


class Recipe(_Table):
    """A whole recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    dataset: str
    network: Network
    training: Training


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        InputError: no such file, no TOML, an unknown key or an impossible value; names the key.
    """
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from None
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])  # says more
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            table = {"network": Network, "training": Training}.get(str(first["loc"][0]), Recipe)
            legal = ", ".join(table.model_fields)
            raise InputError(f"{path}: unknown key {where!r}; known are {legal}") from None
        raise InputError(f"{path}: {where!r}: {first['msg']}; got {first['input']!r}") from None
