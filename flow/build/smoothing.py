"""Parameters of the units that smooth a build: noise in front of it, votes behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow.build.netlist import Netlist
from flow.errors import InputError
from flow.ir import Graph, IntType

WORD = 31  # bits of a uniform word that decide the magnitude

SEED_WORDS = 4  # per lane


@dataclass(frozen=True, slots=True)
class Smoother:
    """Noise and votes around an accelerator: the ``levels`` of a 32-bit noise table, ``seeds`` of
    32 bits, four per lane, in the order of loading, ``votes`` per image, and ``terms``, what all
    that was made from, for the record."""

    levels: Sequence[int]
    seeds: Sequence[int]
    votes: int
    terms: Mapping[str, Any]


def smoother_parameters(smoother: Smoother, net: Netlist, graph: Graph) -> dict[str, int | str]:
    """Of ``hls/rtl/smoother.sv`` around ``net``, the accelerator of ``graph``.

    Raises:
        InputError: there are no votes, or the seeds are those of other lanes.
    """
    lanes, edge = net.input.lanes, graph.input_edge
    if smoother.votes < 1 or len(smoother.seeds) != SEED_WORDS * lanes:
        raise InputError(
            f"{smoother.votes} votes, {len(smoother.seeds)} seed words: give at least 1 vote, and "
            f"{SEED_WORDS} words for each of {lanes} lanes"
        )
    seeds = sum(word << 32 * place for place, word in enumerate(smoother.seeds))
    return {
        **noise_parameters(smoother.levels, edge.type, lanes=lanes),
        "Seeds": f"{32 * len(smoother.seeds)}'h{seeds:x}",
        "Beats": edge.elements // lanes,
        "Votes": smoother.votes,
        "Classes": graph.edge(graph.logits).elements,
        "WordBits": net.output.bits,
    }


def count_bits(votes: int) -> int:
    """Of one class's count in the result of ``hls/rtl/vote.sv``."""
    return votes.bit_length()


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
