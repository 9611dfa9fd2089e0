"""The very bits whose flips bring a rival as far ahead as the exact bound of two layers says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from flow.certify.subset import BitSubset
from flow.certify.suffix import Reach, Suffix
from flow.certify.weight_flips import bit_steps
from flow.ir import Array, Fault, IntType
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
    node, op = suffix.last, suffix.last.op
    assert isinstance(op, MatVec)
    bits = suffix.bits(node, subset, "weights")
    gains = []
    for row, factor in zip(classes, (1, -1), strict=True):
        steps = bit_steps(op.weights[[row], neuron], op.weight_type, bits)[0]
        for bit, step in zip(bits.tolist(), steps.tolist(), strict=True):
            gain = factor * int(suffix.scale[row]) * step * level
            gains.append((gain, Fault(node.name, "weights", (row, neuron), bit)))
    best = sorted((g for g in gains if g[0] > 0), key=lambda g: -g[0])[:flips]
    return sum(gain for gain, _ in best), [fault for _, fault in best]


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
    op = hidden.op
    assert isinstance(op, MatVec)
    bits = suffix.bits(hidden, subset, "weights")
    values = suffix.graph.evaluate_all(image[None])[hidden.inputs[0]][0].ravel()
    gains = bit_steps(op.weights[neuron], op.weight_type, bits) * values[:, None]
    gains = gains if rising else -gains
    best = np.argsort(-gains, axis=None, kind="stable")[:flips]
    places = [np.unravel_index(int(k), gains.shape) for k in best if gains.ravel()[k] > 0]
    return [Fault(hidden.name, "weights", (neuron, int(c)), int(bits[b])) for c, b in places]


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
