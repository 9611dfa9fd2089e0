"""A campaign as a TOML file."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from flow.campaign.faultmodel import MODELS, Burst, FaultModel, Single
from flow.campaign.fit import Fit
from flow.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
FORMS = ("constrained-int", "literal['all']")  # of a number or "all": pydantic's names, no keys


class Engine(StrEnum):
    """What computes a fault's effect; every engine must give the same integers."""

    MODEL = "model"
    RTL = "rtl"


class Executor(StrEnum):
    """Where units are computed."""

    PROCESSES = "processes"  # ``workers`` of them, on this machine
    DASK = "dask"  # wherever the workers of ``scheduler`` are


class Recipe(BaseModel):
    """What to inject into what; paths are relative to the folder the command runs in.

    ``build`` names a build directory, whose graph is used; without RTL a ``graph`` file will do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    graph: Path | None = None
    build: Path | None = None
    data: str  # data set, read by the caller
    images: Annotated[int, Field(strict=True, ge=1)]  # drawn from the data set
    faults: FaultModel | None = None  # a number stands for so many single flips
    fault_list: Path | None = None  # a list to run again, instead of drawing
    seed: Annotated[int, Field(strict=True, ge=0)]
    engines: tuple[Engine, ...] = (Engine.MODEL, Engine.RTL)
    unit: Annotated[int, Field(strict=True, ge=1)] = 64  # faults in one shard
    workers: Annotated[int, Field(strict=True, ge=1)] = 1  # processes
    executor: Executor = Executor.PROCESSES
    scheduler: str | None = None  # address of a Dask scheduler, as tcp://host:8786
    fit: Fit | None = None  # rates of upsets, for an estimate of failures
    certify: bool | None = None  # compare with the exact single-flip analysis; None: single flips

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        """``faults = N`` with ``per_stratum``, as campaigns were written first."""
        if not isinstance(given, dict) or isinstance(given.get("faults"), dict | FaultModel):
            return given
        given = dict(given)
        spread = {k: given.pop(k) for k in ("per_stratum",) if k in given}
        if given.get("faults") is not None:
            given["faults"] = {"count": given["faults"]} | spread
        return given

    @field_validator("faults", mode="before")
    @classmethod
    def _model(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name = given.get("model", "single")
        if name not in MODELS:
            raise ValueError(f"no fault model {name!r}; known are {', '.join(MODELS)}")
        return MODELS[name].model_validate(given)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if (self.graph is None) == (self.build is None):
            raise ValueError("give either 'graph' or 'build'")
        if (self.faults is None) == (self.fault_list is None):
            raise ValueError("give either 'faults' or 'fault_list'")
        if Engine.MODEL not in self.engines or len(set(self.engines)) != len(self.engines):
            raise ValueError('\'engines\' must be ["model"] or ["model", "rtl"]')
        if Engine.RTL in self.engines and self.build is None:
            raise ValueError("engine 'rtl' needs 'build', a build directory")
        if (self.executor is Executor.DASK) != (self.scheduler is not None):
            raise ValueError("executor 'dask' and 'scheduler' go together")
        if isinstance(self.faults, Burst) and self.build is None:
            raise ValueError("bursts strike memory words; they need 'build', a build directory")
        if self.certify and not isinstance(self.faults, Single | None):
            raise ValueError("only single flips can be certified; leave 'certify' out")
        return self

    @model_validator(mode="after")
    def _rates(self) -> Recipe:
        if self.fit is not None and self.build is None:
            raise ValueError("[fit] asks in which memory a bit is; give 'build', a build directory")
        if self.fit is not None and not isinstance(self.faults, Single | None):
            raise ValueError("[fit] is about single upsets; the fault model must be 'single'")
        if isinstance(self.faults, Single) and self.faults.allocate == "fit" and self.fit is None:
            raise ValueError("'allocate' is \"fit\" without rates; give them in [fit]")
        if isinstance(self.faults, Single) and self.faults.sequential and self.fit is not None:
            raise ValueError("[fit] needs the whole list; leave 'sequential' out")
        return self


def load_recipe(path: Path) -> Recipe:
    """Read the file of a campaign on stored bits: :func:`read_recipe`."""
    return read_recipe(path, Recipe)


def recipe_target(path: Path) -> str:
    """What the campaign file at ``path`` strikes: ``memories`` unless it says ``registers``."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return "memories"  # whose reader says what is wrong
    return "registers" if document.get("target") == "registers" else "memories"


def read_recipe(path: Path, model: type[Model]) -> Model:
    """Read a campaign file.

    Raises:
        InputError: the file is missing, no TOML, or a key is unknown, missing or has a bad value;
            the message names the key.
    """
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; docs/examples has campaigns to copy") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error}); correct it") from None
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error, model)}") from None


def _first(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault pydantic found, as one line."""
    found = error.errors()[0]
    key = ".".join(str(part) for part in found["loc"] if part not in FORMS)
    if found["type"] == "extra_forbidden":
        return f"unknown key {key!r}; known are {', '.join(model.model_fields)}"
    if found["type"] == "missing":
        return f"key {key!r} is missing; add it"
    reason = found["msg"].removeprefix("Value error, ")
    return f"key {key!r}: {reason}, not {found['input']!r}" if key else reason
