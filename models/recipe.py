"""A training recipe: one TOML file, checked before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from flow.errors import InputError
from models.methods import METHODS, AnyMethod
from models.table import WIDTHS, Bits, EachWeightBits, Positive, Table, WeightBits


class FullyConnected(Table):
    """What is trained: fully connected layers, BatchNorm between them."""

    kind: Literal["fully-connected"]
    hidden: list[Positive] = Field(min_length=1)
    weight_bits: EachWeightBits
    activation_bits: Bits

    @model_validator(mode="after")
    def _each(self) -> Self:
        _ = self.widths
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """The bits of the weights of each layer, in order."""
        return _widths(self.weight_bits, len(self.hidden) + 1)


class Convolutional(Table):
    """A convolutional network; its channels are ``width`` times those of the publication."""

    kind: Literal["cnv", "resnet", "depthwise"]
    weight_bits: WeightBits
    activation_bits: Bits
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    blocks: Annotated[int, Field(ge=1, le=18)] = 1  # of each stage of resnet: 6 * blocks + 2 layers
    shared_scale: bool = True  # of the two terms of each sum of resnet

    @model_validator(mode="after")
    def _has_them(self) -> Self:
        if self.kind != "cnv" and self.activation_bits == 1:
            raise ValueError(f"{self.kind} pads with 0, which is no sign; use 2 bits or more")
        if self.kind != "resnet" and (self.blocks != 1 or not self.shared_scale):
            raise ValueError(f"blocks and shared_scale are of resnet; {self.kind} has none")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """The bits of the weights, the same in all layers."""
        return (self.weight_bits,)


class Stack(Table):
    """Convolutions one behind the other, then dense layers; no shortcut, no pool."""

    kind: Literal["stack"]
    convolutions: list[tuple[Positive, Positive, Positive]] = Field(min_length=1)
    dense: list[Positive] = Field(default=[])  # units of the hidden dense layers
    weight_bits: EachWeightBits
    activation_bits: Bits
    padded: bool = False

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, values: Any) -> Any:
        """TOML knows lists only."""
        if isinstance(values, dict) and isinstance(values.get("convolutions"), list):
            rows = [tuple(row) if isinstance(row, list) else row for row in values["convolutions"]]
            return values | {"convolutions": rows}
        return values

    @model_validator(mode="after")
    def _centred(self) -> Self:
        if self.padded and any(kernel % 2 == 0 for _, kernel, _ in self.convolutions):
            raise ValueError("a padded kernel needs a middle; use odd ones")
        _ = self.widths
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """The bits of the weights of each layer, in order."""
        return _widths(self.weight_bits, len(self.convolutions) + len(self.dense) + 1)


def _widths(bits: int | list[int], layers: int) -> tuple[int, ...]:
    if isinstance(bits, int):
        return (bits,) * layers
    if len(bits) != layers:
        raise ValueError(f"weight_bits has {len(bits)} widths for {layers} layers; give one each")
    return tuple(bits)


Network = FullyConnected | Convolutional | Stack


def scaled(channels: int, network: Convolutional) -> int:
    """So many channels, at the network's width."""
    return max(1, round(channels * network.width))


class Training(Table):
    """How it is trained: Adam with a cosine schedule, optionally taught by a float network."""

    epochs: Positive
    batch: Annotated[int, Field(ge=2)]  # BatchNorm cannot take a batch of one
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    temperature: Annotated[float, Field(gt=0)] = 1.0  # divides the logits in the loss only
    teacher_epochs: Annotated[int, Field(ge=0)] = 0  # 0: no teacher
    held_out: Annotated[int, Field(ge=0)] = 0  # last training images, which choose the epoch kept
    patience: Annotated[int, Field(ge=0)] = 0  # epochs without a better score; 0: all are made

    @model_validator(mode="after")
    def _judged(self) -> Self:
        if self.patience and not self.held_out:
            raise ValueError("patience needs held_out images to judge by")
        return self


class Recipe(Table):
    """A whole recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    dataset: str
    network: Annotated[Network, Field(discriminator="kind")]
    training: Training
    method: list[AnyMethod] = Field(default=[])  # [[method]] tables, each around those before it

    @model_validator(mode="after")
    def _possible(self) -> Self:
        kinds = [method.kind for method in self.method]
        for method in self.method:
            if kinds.count(method.kind) > 1:
                raise ValueError(f"method {method.kind!r} twice; give it once")
            method.check(self.network)
        if {"rounding", "weight-radius"} <= set(kinds):
            raise ValueError(
                "methods 'rounding' and 'weight-radius' both make coarse weights of fine ones; "
                "give one of them"
            )
        return self


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
    return recipe_of(values, where=str(path))


def recipe_of(values: dict[str, Any], *, where: str) -> Recipe:
    """The recipe of these tables.

    Raises:
        InputError: an unknown key or an impossible value; names ``where`` and the key.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_error(error)}") from None


def _first_error(error: ValidationError) -> str:
    """The key and what is wrong with it, of an unknown key where there is one."""
    found = error.errors()
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])  # says more
    place = [str(part) for part in first["loc"]]
    table: type[Table] = {"training": Training}.get(place[0], Recipe) if place else Recipe
    if place[:1] == ["network"]:
        kinds = {"fully-connected": FullyConnected, "stack": Stack}
        table = kinds.get(place[1], Convolutional) if len(place) > 1 else Recipe
        place = ["network", *place[2:]]  # without the kind
        place = [part for part in place if part not in WIDTHS]
    elif place[:1] == ["method"] and len(place) > 2:
        table = next(m for m in METHODS if m.model_fields["kind"].annotation == Literal[place[2]])
        place = [*place[:2], *place[3:]]
    where = ".".join(place)
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}; known are {', '.join(table.model_fields)}"
    if first["type"] == "union_tag_invalid":
        expected, given = first["ctx"]["expected_tags"], first["ctx"]["tag"]
        return f"'{where}.kind': Input should be one of {expected}; got {given!r}"
    if not place:
        return first["msg"].removeprefix("Value error, ")
    return f"{where!r}: {first['msg']}; got {first['input']!r}"
