"""Noise and votes under test: inputs, seeds, and what the reference makes of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.build.smoothing import noise_parameters, vote_parameters
from flow.certify.noise import NoiseTable
from flow.certify.noise_lanes import lane_states, lane_words
from flow.ir import IntType
from tests.conformance.hls_units import beats

# lanes, elements of a row, input type, sigma
NOISES = [
    (1, 6, "u8", "40"),
    (2, 6, "u5[0..16]", "3/2"),
    (4, 8, "s4", "2"),
    (3, 3, "s6[-20..11]", "9"),
    (2, 2, "u1", "1/2"),
]
# classes, bits below the class, votes
VOTES = [(10, 5, 7), (2, 1, 1), (3, 0, 20), (16, 3, 5), (1, 2, 3), (5, 4, 64)]
ROWS = 40


def noise_unit(number, seed):
    """Parameters of a row of the table, its seed words, and rows in and out, all integers.

    The first word of every lane is exactly a level, the second the largest there is: chance would
    take 2**31 words to show either.
    """
    lanes, elements, text, sigma = NOISES[number]
    kind = IntType.parse(text)
    table = NoiseTable.of(Fraction(sigma), bits=32, span=kind.hi - kind.lo)
    states = [list(state) for state in lane_states(seed, lanes=lanes)]
    for lane, state in enumerate(states):
        level = table.levels[(seed + lane) % table.most] | (lane % 2) << 31
        state[0], state[3] = 0, level ^ level >> 19  # so the next word is the level
        state[1] = _oldest_for(2**31 - 1 | (lane % 2) << 31, newest=level)
    steps = ROWS * elements // lanes
    words, _ = lane_words(np.array(states, dtype=np.uint32).T, steps)
    assert (words[1] & 2**31 - 1 == 2**31 - 1).all()
    rows = table.draw(words.astype(np.uint64)).reshape(ROWS, elements)
    rng = np.random.default_rng(seed)
    x = rng.integers(kind.lo, kind.hi + 1, rows.shape)
    x[2:4] = [[kind.lo], [kind.hi]]
    x[:2] = (kind.lo + kind.hi) // 2
    for lane in range(lanes):  # so that the largest word's noise is not clipped
        x.flat[lanes + lane] = kind.hi if lane % 2 else kind.lo
    parameters = noise_parameters(table.levels, kind, lanes=lanes)
    seeds = [word for state in states for word in state]
    return parameters, seeds, kind, x, np.clip(x + rows, kind.lo, kind.hi)


def _oldest_for(word, *, newest):
    """The oldest word of a state that makes ``word`` follow ``newest``."""
    both = word ^ newest ^ newest >> 19
    mixed = both ^ both >> 8 ^ both >> 16 ^ both >> 24
    return (mixed ^ mixed << 11 ^ mixed << 22) & (1 << 32) - 1


def packed(values, kind, lanes):
    """Rows of values as stream words."""
    return tuple(beats(kind.encode(values), lanes, kind.bits))


def vote_unit(number, seed, results=12):
    """Parameters of a row of the table, words of an argmax, and the results' words."""
    classes, below, votes = VOTES[number]
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(classes, 0.4), results)
    chosen = np.array([rng.choice(classes, votes, p=p) for p in share])
    chosen[-1] = rng.permutation(np.resize(np.arange(classes), votes))  # as even as can be
    bits, width = max(1, (classes - 1).bit_length()), votes.bit_length()
    words = [int(c) << below | int(rng.integers(1 << below)) for c in chosen.ravel()]
    counts = np.array([np.bincount(row, minlength=classes) for row in chosen])
    outputs = [
        int(row.argmax()) << classes * width | beats(row, classes, width)[0] for row in counts
    ]
    parameters = vote_parameters(classes=classes, word_bits=bits + below, votes=votes)
    return parameters, words, outputs, bits + below, bits + classes * width
