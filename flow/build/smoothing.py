"""Parameters of the two units that smooth a build: noise in front of it, votes behind it."""

from __future__ import annotations

from collections.abc import Sequence

from flow.ir import IntType

WORD = 31  # bits of a uniform word that decide the magnitude


def noise_parameters(levels: Sequence[int], kind: IntType, *, lanes: int) -> dict[str, int | str]:
    """Of ``hls/rtl/noise.sv``; ``levels`` are those of a 32-bit ``flow.certify`` noise table.

    Raises:
        ValueError: there is no level, or the input type is none that takes noise.
    """
    if not levels or kind.bipolar or kind.bits > 30:
        raise ValueError(f"{len(levels)} levels of noise on {kind}")
    return {
        "Lanes": lanes,
        "InBits": kind.bits,
        "InKind": int(kind.signed),
        "Low": kind.lo,
        "High": kind.hi,
        "Steps": len(levels),
        "Constants": table_literal(levels),
    }


def table_literal(levels: Sequence[int]) -> str:
    """The levels as one SystemVerilog number, the first in the low bits."""
    number = sum(level << WORD * place for place, level in enumerate(levels))
    return f"{WORD * len(levels)}'h{number:x}"


def vote_parameters(*, classes: int, word_bits: int, votes: int) -> dict[str, int]:
    """Of ``hls/rtl/vote.sv``, for words of ``argmax``."""
    return {"Classes": classes, "InBits": word_bits, "Votes": votes}
