"""The fewest flips of the last two layers that take an image's label, exactly, with such a set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import product_bound
from flow.certify.code_moves import added_up, moves_of, scaled
from flow.certify.subset import BitSubset
from flow.certify.suffix import Reach, Suffix, added, most_added, reach
from flow.certify.suffix_witness import struck_bits
from flow.certify.weight_flips import Moves
from flow.errors import InputError
from flow.ir import Array, Fault, Graph, IntType
from flow.ops import Add, MatVec


@dataclass(frozen=True, slots=True, eq=False)
class _Last:
    """The last product, scaled: weights (classes, columns), the moves of each class's, offsets."""

    weights: Array
    moves: tuple[Moves, ...]
    offset: Array

    def against(self, label: int, rivals: Sequence[int], *, flips: int) -> tuple[Array, Moves]:
        """The rows whose sums are how far each rival is ahead, and what flips of both rows' bits
        make of their weights."""
        own = scaled(self.moves[label], -1)
        both = [added_up(self.moves[rival], own, flips=flips) for rival in rivals]
        up = np.concatenate([moves.up for moves in both], axis=1)
        down = np.concatenate([moves.down for moves in both], axis=1)
        return self.weights[rivals] - self.weights[label], Moves(up, down)


def exact_flips(
    graph: Graph, x: Array, *, y: Array, flips: int, subset: BitSubset
) -> tuple[Array, list[tuple[Fault, ...] | None]]:
    """For each correct image the flips of ``subset`` that it withstands, up to ``flips``, and a set
    of one more that it does not, where that is at most ``flips``.

    Exact: the set is a smallest one. Where a register could wrap under some number of flips
    nothing is claimed from there on: fewer are certified, and no set is given.

    Raises:
        InputError: bits outside the last two layers may flip, or exact sums are too large.
    """
    suffix = Suffix.of(graph, subset)
    last = _last(suffix, subset, flips)
    found = reach(suffix, x, flips=flips, subset=subset)
    fits = found.fits & _logits_fit(suffix, found, subset)
    certified = np.zeros(len(x), dtype=np.int64)
    witness: list[tuple[Fault, ...] | None] = [None] * len(x)
    classes = np.arange(len(last.weights))
    for label in np.unique(y).tolist():
        images, rivals = np.flatnonzero(y == label), np.delete(classes, label)
        some = _of(found, images)
        worth, moves = last.against(label, rivals.tolist(), flips=flips)
        ahead = some.clean @ worth.T + (last.offset[rivals] - last.offset[label])
        ahead = ahead + most_added(some, worth, moves)  # of each rival, at most
        wins = (ahead >= np.where(rivals < label, 0, 1)).any(axis=2)
        held = np.logical_and.accumulate(~wins & fits[:, images], axis=0).sum(axis=0) - 1
        certified[images] = np.maximum(held, 0)
        for at, image in enumerate(images.tolist()):
            broken = int(held[at]) + 1
            if 1 <= broken <= flips and fits[broken, image]:
                lead = ahead[broken, at] - np.where(rivals < label, 0, 1)
                pair = int(rivals[lead.argmax()]), label
                own = _of(found, np.array([image]))
                strikes = _furthest(suffix, last, own, x[image], pair, broken, subset)
                changed = int(graph.evaluate(x[[image]], strikes)[0]) != label
                witness[image] = strikes if changed else None
    return certified, witness


def furthest_flips(
    graph: Graph, image: Array, *, label: int, flips: int, subset: BitSubset
) -> Iterator[tuple[Fault, ...]]:
    """For every rival the at most ``flips`` flips that bring it furthest ahead of ``label``, where
    no register could wrap under so many; errors as ``exact_flips``."""
    suffix = Suffix.of(graph, subset)
    last = _last(suffix, subset, flips)
    found = reach(suffix, image[None], flips=flips, subset=subset)
    if (found.fits & _logits_fit(suffix, found, subset))[flips, 0]:
        for rival in range(len(last.weights)):
            if rival != label:
                yield _furthest(suffix, last, found, image, (rival, label), flips, subset)


def _furthest(
    suffix: Suffix,
    last: _Last,
    found: Reach,
    image: Array,
    classes: tuple[int, int],
    flips: int,
    subset: BitSubset,
) -> tuple[Fault, ...]:
    """Of one image: ``flips`` divided among its neurons, and the bits that each spends them on."""
    rival, label = classes
    most = len(found.low) - 1
    gains = added(found, *last.against(label, [rival], flips=most), slice(None))[:, 0, 0]
    spent = _divided(gains, flips)
    return struck_bits(suffix, found, image, spent=spent, classes=classes, subset=subset)


def _of(found: Reach, images: Array) -> Reach:
    low, high, up, down = (a[:, images] for a in (found.low, found.high, found.up, found.down))
    fits, sums = found.fits[:, images], found.sums[images]
    return Reach(found.clean[images], low, high, fits, sums, up, down)


def _divided(gains: Array, flips: int) -> dict[int, int]:
    """Flips for each neuron such that the ``gains`` (flips + 1, neurons) add up to the most."""
    neurons = gains.shape[1]
    best = np.zeros((neurons + 1, flips + 1), dtype=np.int64)
    spent = np.zeros((neurons, flips + 1), dtype=np.int64)
    for j in range(neurons):
        for q in range(flips + 1):
            options = best[j, q::-1] + gains[: q + 1, j]
            spent[j, q] = options.argmax()
            best[j + 1, q] = options.max()
    chosen, left = {}, flips
    for j in range(neurons - 1, -1, -1):
        if spent[j, left]:
            chosen[j] = int(spent[j, left])
            left -= chosen[j]
    return chosen


def _last(suffix: Suffix, subset: BitSubset, flips: int) -> _Last:
    op = suffix.last.op
    assert isinstance(op, MatVec)
    scale, offset = suffix.scale, suffix.offset
    edge = suffix.graph.edge(suffix.last.inputs[0])
    bound = 2 * int(abs(scale).max()) * product_bound(op, edge)
    if bound + 2 * int(abs(offset).max()) >= 1 << 56:
        raise InputError(f"node {suffix.last.name!r}: exact below 2**56; narrow weights or scales")
    own = moves_of(op, suffix.bits(suffix.last, subset, "weights"), flips=flips)
    moves = [
        scaled(Moves(own.up[:, [c]], own.down[:, [c]]), int(scale[c]))
        for c in range(len(op.weights))
    ]
    return _Last(scale[:, None] * op.read, tuple(moves), offset)


def _logits_fit(suffix: Suffix, found: Reach, subset: BitSubset) -> NDArray[np.bool_]:
    """(flips + 1, images): whether no logit, nor the Add behind it, can leave its register."""
    op, flips = suffix.last.op, len(found.low) - 1
    assert isinstance(op, MatVec)
    moves = moves_of(op, suffix.bits(suffix.last, subset, "weights"), flips=flips)
    clean = found.clean @ op.read.T
    high = clean + most_added(found, op.read, moves)
    low = clean - most_added(found, -op.read, moves.negated())
    if op.popcount:
        low, high = (low + op.weights.shape[1]) // 2, (high + op.weights.shape[1]) // 2
    fits = _inside(low, high, op.accumulator)
    if suffix.add is not None and isinstance(suffix.add.op, Add):
        add = suffix.add.op
        ends = [add.multipliers[0] * end + add.offset for end in (low, high)]
        fits = fits & _inside(np.minimum(*ends), np.maximum(*ends), add.accumulator)
    return fits


def _inside(low: Array, high: Array, kind: IntType) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (low >= kind.code_lo) & (high <= kind.code_hi)
    fits: NDArray[np.bool_] = np.logical_and.reduce(inside, axis=2)
    return fits
