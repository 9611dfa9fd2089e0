"""The faults of a campaign, drawn at random by its fault model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow.build import Build, site_table
from flow.campaign.elements import element_bits, spread
from flow.campaign.faultlist import KINDS, FaultList
from flow.campaign.faultmodel import Burst, FaultModel, Multiple, Rates, Single, Stuck, Transient
from flow.campaign.fit import Storage
from flow.campaign.sample import bit_weights, sample_bits, shuffled_bits
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Array, Graph, Kind

PATTERN_BITS = 1 << 22  # of a chip's pattern decided at once


def draw_faults(
    graph: Graph,
    model: FaultModel,
    *,
    rng: np.random.Generator,
    build: Build | None = None,
    storage: Storage | None = None,
) -> FaultList:
    """The faults that ``model`` asks for; ``rng`` alone decides which.

    Args:
        build: where the words of memories are, for bursts.
        storage: how often bits are upset, for draws by FIT.

    Raises:
        InputError: the graph stores fewer bits, no word is so wide, or a burst has no build.
    """
    match model:
        case Single() | Stuck():
            return _bits(graph, model, rng, storage)
        case Multiple():
            return _several(graph, model, rng)
        case Burst():
            return _bursts(graph, model, rng, build)
        case Rates():
            return _patterns(graph, model, rng)
        case Transient():
            return _passing(graph, model, rng)


def _bits(
    graph: Graph, model: Single | Stuck, rng: np.random.Generator, storage: Storage | None
) -> FaultList:
    bits = StoredBits.of(graph)
    count, minimum = model.size(len(bits)), model.per_stratum
    if model.sequential:
        position = shuffled_bits(bits, count, rng=rng, minimum=minimum)
    else:
        weights = _weights(model, storage)
        position = sample_bits(bits, count, rng=rng, minimum=minimum, weights=weights)
    kind = Kind.FLIP
    if isinstance(model, Stuck):
        kind = Kind.STUCK1 if model.value else Kind.STUCK0
    return FaultList.assemble(
        graph,
        model=model.model,
        sizes=np.ones(len(position), dtype=np.int64),
        position=position,
        kind=np.full(len(position), KINDS.index(kind), dtype=np.uint8),
        weight=bit_weights(bits, position),
    )


def _weights(model: Single | Stuck, storage: Storage | None) -> NDArray[np.float64] | None:
    """Of strata, where draws go by FIT."""
    if not isinstance(model, Single) or model.allocate == "size":
        return None
    if storage is None:
        raise InputError("faults: draws by FIT need the rates of [fit]; give them")
    return storage.of_strata()


def _several(graph: Graph, model: Multiple, rng: np.random.Generator) -> FaultList:
    total = len(StoredBits.of(graph))
    if max(model.flips) > total:
        raise InputError(
            f"faults: {max(model.flips)} flips wanted, but the graph stores {total} bits; "
            "ask for fewer"
        )
    count = model.size(1 << 62)
    parts = [_distinct(total, count, flips, rng).ravel() for flips in model.flips]
    return FaultList.assemble(
        graph,
        model=model.model,
        sizes=np.repeat(np.array(model.flips, dtype=np.int64), count),
        position=np.concatenate(parts),
    )


def _passing(graph: Graph, model: Transient, rng: np.random.Generator) -> FaultList:
    every, bits = element_bits(graph), element_bits(graph, model.target, model.nodes)
    total, alone = len(bits), model.flips == 1
    if model.flips > total:
        raise InputError(
            f"faults: {model.flips} flips wanted, but {total} {model.target} bits pass by in an "
            "image; ask for fewer"
        )
    if alone:
        position = sample_bits(bits, model.size(total), rng=rng, minimum=model.per_stratum)
    else:
        drawn = _distinct(total, model.size(1 << 62), model.flips, rng)
        position = spread(bits, drawn.ravel())
    return FaultList.assemble(
        graph,
        model="transient" if alone else "transients",
        bits=every,
        sizes=np.full(len(position) // model.flips, model.flips, dtype=np.int64),
        position=position,
        kind=np.full(len(position), KINDS.index(Kind.TRANSIENT), dtype=np.uint8),
        weight=bit_weights(bits, position) if alone else None,
    )


def _distinct(total: int, rows: int, columns: int, rng: np.random.Generator) -> Array:
    """(rows, columns): each row uniform among the ascending sets of distinct numbers < total."""
    if columns * columns > total:  # collisions are the rule
        return np.sort(np.stack([rng.choice(total, columns, replace=False) for _ in range(rows)]))
    drawn = np.sort(rng.integers(0, total, (rows, columns)))
    while True:  # a row with a repeated number is drawn again, whole: the others stay uniform
        twice = np.flatnonzero((drawn[:, 1:] == drawn[:, :-1]).any(axis=1))
        if not twice.size:
            return drawn
        drawn[twice] = np.sort(rng.integers(0, total, (len(twice), columns)))


def _bursts(graph: Graph, model: Burst, rng: np.random.Generator, build: Build | None) -> FaultList:
    """Uniform among all runs of neighbouring bits that store something, over all memories."""
    if build is None:
        raise InputError("faults: a burst strikes a memory word; give 'build', a build directory")
    bits = StoredBits.of(graph)
    blocks = {(block.node, block.parameter): block for block in bits.blocks}
    words: list[Array] = []  # by memory: the numbers of the bits of each of its words
    runs: list[Array] = []  # by memory: word and bit at which runs begin
    for layout in site_table(graph, build.plan()).layouts:
        here = [blocks[layout.node, name] for name in layout.parameters]
        first, width = (np.array([getattr(b, key) for b in here]) for key in ("first", "bits"))
        which = np.maximum(layout.parameter, 0)
        number = first[which] + layout.element * width[which] + layout.bit
        number[layout.parameter < 0] = -1  # padding and parity store no parameter
        words.append(number)
        if layout.bits < model.bits:
            runs.append(np.empty((0, 2), dtype=np.int64))
            continue
        windows = np.lib.stride_tricks.sliding_window_view(number >= 0, model.bits, axis=1)
        runs.append(np.argwhere(windows.all(axis=-1)))
    ends = np.cumsum([len(found) for found in runs])
    population = int(ends[-1])
    if not population:
        raise InputError(
            f"faults: no memory word of {build.directory} has {model.bits} neighbouring stored "
            "bits; ask for shorter bursts"
        )
    count = model.size(population)
    chosen = np.empty((count, model.bits), dtype=np.int64)
    for k, run in enumerate(rng.integers(0, population, count)):
        memory = int(np.searchsorted(ends, run, side="right"))
        word, bit = runs[memory][run - ends[memory]]  # from the end of the memory's runs
        chosen[k] = words[memory][word, bit : bit + model.bits]
    return FaultList.assemble(
        graph,
        model=model.model,
        sizes=np.full(count, model.bits, dtype=np.int64),
        position=np.sort(chosen, axis=1).ravel(),
    )


def _patterns(graph: Graph, model: Rates, rng: np.random.Generator) -> FaultList:
    """One uniform number per (chip, bit), which is struck at every rate above it (Stutz et al.,
    "Bit error robustness for energy-efficient DNN accelerators", MLSys 2021)."""
    total, most = len(StoredBits.of(graph)), max(model.rates)
    by_rate: list[list[Array]] = [[] for _ in model.rates]
    for _ in range(model.chips):
        position, height = _below(total, most, rng)
        for rate, patterns in zip(model.rates, by_rate, strict=True):
            patterns.append(position[height < rate])
    patterns = [pattern for chips in by_rate for pattern in chips]
    return FaultList.assemble(
        graph,
        model=model.model,
        sizes=np.array([len(pattern) for pattern in patterns], dtype=np.int64),
        position=np.concatenate(patterns),
        level=np.repeat(np.array(model.rates), model.chips),
        chip=np.tile(np.arange(model.chips, dtype=np.int32), len(model.rates)),
    )


def _below(total: int, most: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """The bits of a chip whose number is below ``most``, and those numbers."""
    at, heights = [], []
    for first in range(0, total, PATTERN_BITS):
        height = rng.random(min(PATTERN_BITS, total - first))
        below = np.flatnonzero(height < most)
        at.append(below + first)
        heights.append(height[below])
    return np.concatenate(at), np.concatenate(heights)
