"""Which upsets a campaign tries: every register, at random bits, cycles and images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flow.campaign.sample import allocate
from flow.errors import InputError
from sim.registers import Register
from sim.upsets import Upset


@dataclass(frozen=True, slots=True)
class Population:
    """Every bit of ``registers`` in every one of ``cycles``, from each of ``starts`` images."""

    registers: tuple[Register, ...]
    cycles: int
    starts: int

    @property
    def groups(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """(register, bit) of each group of registers that differ only in their place."""
        members: dict[str, list[tuple[str, int]]] = {}
        for register in self.registers:
            bits = [(register.name, bit) for bit in range(register.bits)]
            members.setdefault(register.group, []).extend(bits)
        return {group: tuple(bits) for group, bits in members.items()}

    @property
    def bits(self) -> int:
        """Flip-flops."""
        return sum(register.bits for register in self.registers)

    def __len__(self) -> int:
        return self.bits * self.cycles * self.starts

    def digest(self) -> str:
        """SHA-256 of what can be struck."""
        record = [[(r.name, r.bits) for r in self.registers], self.cycles, self.starts]
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Drawn:
    """An upset and how many of its population it stands for."""

    upset: Upset
    group: str
    weight: float


def draw(
    population: Population,
    count: int | Literal["all"],
    *,
    rng: np.random.Generator,
    minimum: int,
) -> tuple[Drawn, ...]:
    """At least ``count`` distinct upsets, ``minimum`` or more of each group of registers.

    Raises:
        InputError: more are wanted than there are.
    """
    wanted = len(population) if count == "all" else count
    if wanted > len(population):
        raise InputError(
            f"upsets: {wanted:,} wanted, but {population.bits:,} flip-flops in {population.cycles} "
            f"cycles from {population.starts} images are {len(population):,}; ask for fewer"
        )
    moments = population.cycles * population.starts
    groups = population.groups
    sizes = [len(members) * moments for members in groups.values()]
    drawn: list[Drawn] = []
    for (group, members), size, amount in zip(
        groups.items(), sizes, allocate(sizes, count=wanted, minimum=minimum), strict=True
    ):
        places = np.sort(rng.choice(size, int(amount), replace=False))
        weight = size / int(amount)
        drawn.extend(Drawn(_upset(members, population, int(p)), group, weight) for p in places)
    return tuple(drawn)


def _upset(members: Sequence[tuple[str, int]], population: Population, place: int) -> Upset:
    rest, first = divmod(place, population.starts)
    which, cycle = divmod(rest, population.cycles)
    register, bit = members[which]
    return Upset(register, bit, cycle, first)
