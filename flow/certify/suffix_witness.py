"""The very bits whose flips bring a rival as far ahead as the exact bound of two layers says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from flow.certify.code_moves import masks, read, struck_codes
from flow.certify.subset import BitSubset
from flow.certify.suffix import Reach, Suffix
from flow.ir import Array, Fault, IntType, Node
from flow.ops import Compare, MatVec, Threshold

Bent = tuple[tuple[int, int], ...]  # (threshold, bit) pairs


def struck_bits(
    suffix: Suffix,
    found: Reach,
    image: Array,
    *,
    spent: Mapping[int, int],
    classes: tuple[int, int],
    subset: BitSubset,
) -> tuple[Fault, ...]:
    """The flips that bring the rival as far ahead as the bound says; they have not been run.

    Args:
        found: what can be reached on this one image.
        spent: how many flips each neuron's bits, and the last weights that read it, take.
        classes: the rival and the label.
    """
    faults: list[Fault] = []
    for neuron, flips in spent.items():
        faults += _of_neuron(suffix, found, image, neuron, flips, classes, subset)
    return tuple(faults)


def _of_neuron(
    suffix: Suffix,
    found: Reach,
    image: Array,
    neuron: int,
    flips: int,
    classes: tuple[int, int],
    subset: BitSubset,
) -> list[Fault]:
    """The best flips of one neuron's bits and of the two last weights that read it."""
    op, (rival, label) = suffix.last.op, classes
    assert isinstance(op, MatVec)
    scale = suffix.scale
    worth = int(scale[rival] * op.read[rival, neuron] - scale[label] * op.read[label, neuron])
    best: tuple[int, int, int, list[Fault]] | None = None
    for own, ends in product(range(flips + 1), (found.low, found.high)):
        level = int(ends[own][0, neuron])
        gained, faults = _of_weights(suffix, neuron, level, flips - own, classes, subset)
        if best is None or worth * level + gained > best[0]:
            best = (worth * level + gained, own, level, faults)
    assert best is not None
    _, own, level, faults = best
    return faults + _to_level(suffix, found, image, neuron, own, level, subset)


def _of_weights(
    suffix: Suffix,
    neuron: int,
    level: int,
    flips: int,
    classes: tuple[int, int],
    subset: BitSubset,
) -> tuple[int, list[Fault]]:
    """What the best flips of the last weights of a neuron add to the rival's lead, and they."""
    rival, label = (int(suffix.scale[c]) * level for c in classes)
    places, factors = [(c, neuron) for c in classes], [rival, -label]
    return _best_strikes(suffix, suffix.last, places, factors, flips, subset)


def _best_strikes(
    suffix: Suffix,
    node: Node,
    places: Sequence[tuple[int, int]],
    factors: Sequence[int],
    flips: int,
    subset: BitSubset,
) -> tuple[int, list[Fault]]:
    """At most ``flips`` flips of the weights at ``places`` that add most to the sum of the weights
    times ``factors``, and what they add: the best bits of each weight by trying all, then a
    knapsack over the weights."""
    op, bits = node.op, suffix.bits(node, subset, "weights")
    assert isinstance(op, MatVec)
    rows, columns = zip(*places, strict=True)
    stored = op.weights[list(rows), list(columns)]
    best: list[tuple[int, tuple[Fault, ...]]] = [(0, ())] * (flips + 1)
    options = [masks(bits, most) for most in range(1, min(flips, len(bits)) + 1)]
    gains = [
        (read(op, struck_codes(op, stored, some)) - read(op, stored)[:, None])
        * np.array(factors)[:, None]
        for some in options
    ]
    for k, place in enumerate(places):
        ways = [
            (most, int(gain[k].max()), int(some[gain[k].argmax()]))
            for most, (some, gain) in enumerate(zip(options, gains, strict=True), start=1)
        ]
        for q in range(flips, 0, -1):
            for most, gain_of, mask in ways:
                before = best[q - most] if most <= q else None
                if before is not None and before[0] + gain_of > best[q][0]:
                    best[q] = before[0] + gain_of, before[1] + _faults(node, place, mask)
    return best[flips][0], list(best[flips][1])


def _faults(node: Node, place: tuple[int, int], mask: int) -> tuple[Fault, ...]:
    bits = (bit for bit in range(mask.bit_length()) if mask >> bit & 1)
    return tuple(Fault(node.name, "weights", place, bit) for bit in bits)


def _to_level(
    suffix: Suffix,
    found: Reach,
    image: Array,
    neuron: int,
    flips: int,
    level: int,
    subset: BitSubset,
) -> list[Fault]:
    """At most ``flips`` flips of a neuron's own bits that bring it to ``level``."""
    hidden, act = suffix.hidden, suffix.act
    if hidden is None or act is None or level == int(found.clean[0, neuron]):
        return []
    stairs = act.op
    assert isinstance(stairs, Threshold)
    free = suffix.bits(act, subset, "thresholds").tolist()
    turns = (False, True) if suffix.bits(act, subset, "sign").size else (False,)
    for s, rising, turned in product(range(flips + 1), (True, False), turns):
        if s + turned > flips:
            continue
        moved = found.up[s, 0, neuron] if rising else -found.down[s, 0, neuron]
        total = int(found.sums[0, neuron] + moved)
        for count, bent in _counts(stairs, neuron, total, flips - s - turned, free):
            if _level(stairs, neuron, count, turned) == level:
                faults = _of_row(suffix, image, neuron, s, rising, subset)
                faults += [Fault(act.name, "thresholds", (neuron, k), bit) for k, bit in bent]
                faults += [Fault(act.name, "sign", (neuron,), 0)] * turned
                return faults
    return []


def _of_row(
    suffix: Suffix, image: Array, neuron: int, flips: int, rising: bool, subset: BitSubset
) -> list[Fault]:
    """The flips of a neuron's weights that move its sum most."""
    hidden = suffix.hidden
    assert hidden is not None
    values = suffix.graph.evaluate_all(image[None])[hidden.inputs[0]][0].ravel().tolist()
    places = [(neuron, column) for column in range(len(values))]
    factors = [value if rising else -value for value in values]
    return _best_strikes(suffix, hidden, places, factors, flips, subset)[1]


def _level(op: Threshold, channel: int, count: int, turned: bool) -> int:
    rising = (int(op.sign[channel]) > 0) != turned
    level = op.base + (count if rising else op.thresholds.shape[1] - count)
    return 2 * level - 1 if op.output.bipolar else level


def _counts(
    op: Threshold, channel: int, x: int, flips: int, free: Sequence[int]
) -> Iterator[tuple[int, Bent]]:
    """The least and the largest number of thresholds reached, with the bits that make it so."""
    thresholds = op.thresholds[channel].tolist()
    miss = [_bits_to(op.threshold_type, t, x, free, above=True) for t in thresholds]
    hit = [_bits_to(op.threshold_type, t, x, free, above=False) for t in thresholds]
    if op.compare is Compare.SEARCH:
        found = [pair for pair in _searched(hit, miss, flips) if len(pair[1]) <= flips]
        yield min(found, key=lambda pair: pair[0])
        yield max(found, key=lambda pair: pair[0])
        return
    lost, won = _cheapest(miss, flips), _cheapest(hit, flips)
    yield len(thresholds) - len(lost), tuple(pair for part in lost for pair in part)
    yield len(won), tuple(pair for part in won for pair in part)


def _cheapest(prices: Sequence[Sequence[int] | None], flips: int) -> list[Bent]:
    """As many thresholds as the flips pay for, the cheapest first, with the bits of each."""
    found: list[Bent] = []
    payable = [(k, bits) for k, bits in enumerate(prices) if bits is not None]
    for k, bits in sorted(payable, key=lambda pair: len(pair[1])):
        if len(bits) > flips:
            break
        flips -= len(bits)
        found.append(tuple((k, bit) for bit in bits))
    return found


def _searched(
    hit: Sequence[Sequence[int] | None], miss: Sequence[Sequence[int] | None], flips: int
) -> list[tuple[int, Bent]]:
    """Every result of the binary search that bending its probes can bring about."""
    open_: list[tuple[int, Bent]] = [(0, ())]
    for stage in reversed(range(len(hit).bit_length())):
        following = []
        for count, bent in open_:
            probe = count + (1 << stage) - 1
            if probe >= len(hit):
                following.append((count, bent))
                continue
            for taken, bits in ((1 << stage, hit[probe]), (0, miss[probe])):
                if bits is not None and len(bent) + len(bits) <= flips:
                    paid = (*bent, *((probe, bit) for bit in bits))
                    following.append((count + taken, paid))
        open_ = following
    return open_


def _bits_to(
    kind: IntType, value: int, limit: int, free: Sequence[int], *, above: bool
) -> tuple[int, ...] | None:
    """The fewest of the bits ``free`` whose flips bring a threshold above ``limit``, or not above
    it: the highest that are wrong; None where no code will do."""
    position, goal, flipped = value - kind.code_lo, limit - kind.code_lo, []
    while (position > goal) != above:
        wrong = [bit for bit in free if bit not in flipped and (position >> bit & 1) != above]
        if not wrong:
            return None
        flipped.append(wrong[-1])
        position ^= 1 << wrong[-1]
    return tuple(flipped)
