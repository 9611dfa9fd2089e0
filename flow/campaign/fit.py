"""How often each stored bit of a build is upset: rates by kind of memory, from the user's table.

A rate is in FIT per Mbit: upsets in 10^9 hours of 10^6 bits.
"""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flow.build import Build, site_table
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.schedule.cells import FAMILIES, MemoryKind, memory_kind

MBIT = 10**6
KINDS = tuple(MemoryKind)  # numbered in this order
Rate = Annotated[float, Field(ge=0)]


class Rates(BaseModel):
    """FIT per Mbit by kind of memory, and where the numbers are from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1)]
    configuration: Rate | None = None
    block: Rate | None = None
    distributed: Rate | None = None
    flip_flop: Rate | None = None

    def of(self, kind: MemoryKind, *, holder: str) -> float:
        """FIT of one bit of memory of ``kind``, which keeps ``holder``.

        Raises:
            InputError: the table has no such rate.
        """
        rate: float | None = getattr(self, kind.value)
        if rate is None:
            raise InputError(f"fit: no rate for {kind.value!r}, which holds {holder}; add it")
        return rate / MBIT


class Fit(BaseModel):
    """The table ``[fit]`` of a campaign file: the rates, or the ``table`` that has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: Path | None = None
    source: str | None = None
    configuration: Rate | None = None
    block: Rate | None = None
    distributed: Rate | None = None
    flip_flop: Rate | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Fit:
        given = self.model_fields_set - {"table"}
        if self.table is not None and given:
            raise ValueError(f"'table' or '{sorted(given)[0]}' in [fit], not both")
        if self.table is None and not self.source:
            raise ValueError("[fit] needs 'source', where its rates are from, or 'table'")
        return self

    def rates(self) -> Rates:
        """The rates, read from the table where there is one.

        Raises:
            InputError: it is missing, is neither TOML nor CSV, or has other entries; the line says
                which.
        """
        if self.table is None:
            return Rates.model_validate(self.model_dump(exclude={"table"}))
        try:
            text = self.table.read_text()
            found = _from_csv(text) if self.table.suffix == ".csv" else tomllib.loads(text)
            return Rates.model_validate(found)
        except FileNotFoundError:
            raise InputError(f"{self.table}: no such file; [fit] names it") from None
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{self.table}: {key!r}: {first['msg']}; see docs/campaign.md"
            ) from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{self.table}: not a table of rates ({error}); correct it") from None


def _from_csv(text: str) -> dict[str, Any]:
    """Rows ``storage,fit_per_mbit,source``; several sources are joined."""
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or set(rows[0]) != {"storage", "fit_per_mbit", "source"}:
        raise ValueError("its columns are storage,fit_per_mbit,source")
    found: dict[str, Any] = {row["storage"]: float(row["fit_per_mbit"]) for row in rows}
    if len(found) != len(rows):
        raise ValueError("a kind of storage is listed twice")
    return found | {"source": "; ".join(dict.fromkeys(row["source"] for row in rows))}


@dataclass(frozen=True, slots=True)
class Population:
    """Bits of one stratum in one kind of memory."""

    node: str
    parameter: str
    bit: int
    memory: str
    bits: int


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """In which kind of memory every stored bit of a build is, and what upsets it how often."""

    bits: StoredBits
    kind: NDArray[np.int8]  # (bits,), numbers of ``KINDS``
    rates: Rates
    by_kind: NDArray[np.float64]  # FIT of one bit; nan where no bit is of that kind

    @classmethod
    def of(cls, build: Build, rates: Rates) -> Storage:
        """The storage of ``build``. What synthesis decides (memory style ``auto``) is what the
        resource model expects of it, for the family that the build was planned for.

        Raises:
            InputError: a rate is missing for a kind of memory that is used.
        """
        graph, plan = build.graph(), build.plan()
        bits = StoredBits.of(graph)
        blocks = {(block.node, block.parameter): block for block in bits.blocks}
        family = FAMILIES[_family(build)]
        kind = np.full(len(bits), -1, dtype=np.int8)
        by_kind = np.full(len(KINDS), np.nan)
        for layout in site_table(graph, plan).layouts:
            number = KINDS.index(memory_kind(layout.words, layout.bits, family, plan.memory_style))
            by_kind[number] = rates.of(KINDS[number], holder=layout.name)
            for which, name in enumerate(layout.parameters):
                block = blocks[layout.node, name]
                here = layout.parameter == which
                element, bit = layout.element[here].astype(np.int64), layout.bit[here]
                kind[block.first + element * block.bits + bit] = number
        return cls(bits, kind, rates, by_kind)

    def of_strata(self) -> NDArray[np.float64]:
        """FIT of all bits of each stratum, in the order of ``flow.campaign.sample``."""
        per_bit = self.by_kind[self.kind]
        parts = (per_bit[b.first : b.first + b.size].reshape(-1, b.bits) for b in self.bits.blocks)
        return np.concatenate([part.sum(axis=0) for part in parts])

    def populations(self) -> Iterator[Population]:
        """How many bits of each stratum are in each kind of memory."""
        for block in self.bits.blocks:
            kinds = self.kind[block.first : block.first + block.size].reshape(-1, block.bits)
            for bit in range(block.bits):
                for number in np.unique(kinds[:, bit]):
                    size = int((kinds[:, bit] == number).sum())
                    memory = KINDS[number].value
                    yield Population(block.node, block.parameter, bit, memory, size)

    def describe(self) -> Mapping[str, float]:
        """FIT of one bit by kind of memory."""
        pairs = zip(KINDS, self.by_kind, strict=True)
        return {kind.value: float(rate) for kind, rate in pairs if not np.isnan(rate)}


def _family(build: Build) -> str:
    path = build.directory / "report.json"
    try:
        return str(json.loads(path.read_text())["family"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: damaged ({error!r}); build again") from None
