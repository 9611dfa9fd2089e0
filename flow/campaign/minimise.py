"""A strike that breaks a claim, without the bits that it does not need."""

from __future__ import annotations

from collections.abc import Callable

from flow.campaign.faultlist import Strike

TRIALS = 256  # at most; each may be a simulation


def minimise(strike: Strike, fails: Callable[[Strike], bool]) -> Strike:
    """A part of ``strike`` that still ``fails`` and of which no half, nor any single bit, can go.

    Delta debugging (Zeller and Hildebrandt, TSE 2002): ever smaller parts are taken away. The
    strike itself is known to fail, and no fault at all to pass. After :data:`TRIALS` trials the
    smallest found so far is given.

    >>> minimise((1, 2, 3, 4, 5, 6), lambda bits: {2, 5} <= set(bits))
    (2, 5)
    """
    pieces, trials = 2, 0
    while len(strike) > 1:
        size = -(-len(strike) // pieces)
        for first in range(0, len(strike), size):
            rest = strike[:first] + strike[first + size :]
            trials += 1
            if fails(rest):
                strike, pieces = rest, max(pieces - 1, 2)
                break
            if trials >= TRIALS:
                return strike
        else:
            if size == 1:
                return strike
            pieces = min(2 * pieces, len(strike))
    return strike
