"""Stimulus and expected response of one unit, written by the reference, read in the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flow.atomic import write_json


@dataclass(frozen=True, slots=True)
class Store:
    """A memory of a unit, and one change of it that shows in the outputs."""

    image: tuple[int, ...]  # words as built
    bits: int  # of a word
    cfg_bits: int
    index: int  # on the configuration bus
    address: int  # of the changed word
    word: int  # what it becomes
    outputs: tuple[int, ...]  # expected while it is changed
    suffix: str = ""  # of its image's name, where the unit has several memories

    def carried(self, word: int, chain: int) -> int:
        """What leaves on the configuration chain while ``word`` is read and ``chain`` comes in."""
        return chain >> self.bits << self.bits | word


@dataclass(frozen=True, slots=True)
class Case:
    """One parameter set of a stream unit with its vectors; words are non-negative integers.

    Without stalls output word k is taken ``(k + 1) * steps + stages - 1`` cycles after the first
    input word: the datasheet's latency and throughput in one number. Where that is not a line, the
    cycles stand in ``schedule``. A unit with several input streams has the stream of each word in
    ``sources``, and the bits of a word of each stream in ``widths``.
    """

    name: str
    parameters: Mapping[str, int | str]  # text is a literal of SystemVerilog
    in_bits: int
    out_bits: int
    inputs: tuple[int, ...]  # words, whole vectors
    outputs: tuple[int, ...]
    vector: int  # input words of one vector
    steps: int
    stages: int
    stores: tuple[Store, ...] = ()  # memories, in the order of the configuration bus
    schedule: tuple[int, ...] = ()
    sources: tuple[int, ...] = ()
    widths: tuple[int, ...] = (0,)
    sinks: int = 1  # output streams, which all carry the same words
    image: tuple[int, ...] = ()  # words of constants that no configuration reaches

    def streams(self) -> list[list[int]]:
        """The words of each input stream."""
        sources = self.sources or (0,) * len(self.inputs)
        pairs = list(zip(sources, self.inputs, strict=True))
        return [[word for s, word in pairs if s == stream] for stream in range(len(self.widths))]

    def expected_cycles(self) -> list[int]:
        """When each output word is taken, counted from the first input word."""
        if self.schedule:
            return list(self.schedule)
        return [(k + 1) * self.steps + self.stages - 1 for k in range(len(self.outputs))]


def save_cases(cases: Iterable[Case], path: Path) -> None:
    """Write ``cases`` as JSON, which holds integers of any width."""
    write_json(path, [asdict(case) for case in cases])


def load_cases(path: Path) -> list[Case]:
    """The inverse of :func:`save_cases`."""
    return [_case(record) for record in json.loads(path.read_text())]


def _case(record: dict[str, Any]) -> Case:
    stores = tuple(_store(store) for store in record.pop("stores"))
    record |= {name: tuple(value) for name, value in record.items() if isinstance(value, list)}
    return Case(**record, stores=stores)


def _store(record: dict[str, Any]) -> Store:
    return Store(**record | {name: tuple(record[name]) for name in ("image", "outputs")})
