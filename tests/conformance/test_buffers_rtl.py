"""The units that only move words: replay, width and fifo."""

import random
from itertools import product

import pytest

from sim.unit import run_unit
from sim.vectors import Case
from tests.conformance.hls_units import beats


def words(count, bits, seed=0):
    """Random words, the first all ones and the second zero."""
    rng = random.Random(seed)
    return [(1 << bits) - 1, 0, *(rng.getrandbits(bits) for _ in range(count))][:count]


@pytest.mark.rtl
def test_replay_repeats_every_vector(simulator, compiled, tmp_path):
    cases = []
    for length, repeats, bits in [
        (1, 1, 3),
        (1, 3, 8),
        (4, 1, 8),
        (4, 3, 70),
        (5, 2, 1),
        (8, 4, 9),
    ]:
        vectors = [words(length, bits, seed) for seed in range(6)]
        cases.append(
            Case(
                name=f"r{length}x{repeats}",
                parameters={"Length": length, "Repeats": repeats, "Bits": bits},
                in_bits=bits,
                out_bits=bits,
                inputs=tuple(word for vector in vectors for word in vector),
                outputs=tuple(word for vector in vectors for word in vector * repeats),
                vector=length,
                steps=1,
                stages=1,
            )
        )

    run_unit("replay", cases, work=tmp_path, cache=compiled, simulator=simulator)


@pytest.mark.rtl
def test_width_keeps_the_order_of_elements(simulator, compiled, tmp_path):
    cases = []
    for lanes_in, lanes_out, bits in [
        (1, 4, 3),
        (4, 1, 3),
        (2, 6, 8),
        (6, 2, 8),
        (3, 3, 5),
        (2, 1, 1),
    ]:
        elements = words(48, bits)
        widening = lanes_out > lanes_in
        cases.append(
            Case(
                name=f"w{lanes_in}to{lanes_out}",
                parameters={"InLanes": lanes_in, "OutLanes": lanes_out, "Bits": bits},
                in_bits=lanes_in * bits,
                out_bits=lanes_out * bits,
                inputs=tuple(beats(elements, lanes_in, bits)),
                outputs=tuple(beats(elements, lanes_out, bits)),
                vector=lanes_out // lanes_in if widening else 1,
                steps=lanes_out // lanes_in if widening else 1,
                stages=0 if lanes_in == lanes_out else 1,
            )
        )

    run_unit("width", cases, work=tmp_path, cache=compiled, simulator=simulator)


@pytest.mark.rtl
def test_fifo_keeps_the_order_of_words(simulator, compiled, tmp_path):
    cases = []
    sizes = [(1, 4), (2, 8), (3, 65), (5, 1), (8, 8)]
    for (depth, bits), form in product(sizes, range(3)):
        data = tuple(words(24, bits))
        cases.append(
            Case(
                name=f"f{depth}form{form}",
                parameters={"Depth": depth, "Bits": bits, "Form": form},
                in_bits=bits,
                out_bits=bits,
                inputs=data,
                outputs=data,
                vector=1,
                steps=2 if depth == 1 else 1,  # a full buffer takes nothing while it gives
                stages=0 if depth == 1 else 1,
            )
        )

    run_unit("fifo", cases, work=tmp_path, cache=compiled, simulator=simulator)
