"""memory.sv and popcount.sv, the parts below the stream units."""

import random

import pytest

from sim.unit import run_unit
from sim.vectors import Case, Store


@pytest.mark.rtl
def test_memory_reads_and_writes_its_words(simulator, compiled, tmp_path):
    rng = random.Random(0)
    cases = []
    sizes = [(1, 1, 0, 0), (5, 7, 0, 0), (8, 33, 4, 0), (6, 80, 1, 0), (5, 7, 0, 1), (6, 33, 4, 1)]
    for index, (words, bits, spare, first) in enumerate(sizes):
        image = (0, *(rng.getrandbits(bits) for _ in range(words - 1)))
        cases.append(
            Case(
                name=f"m{words}x{bits}first{first}",
                parameters={"Words": words, "Bits": bits, "CfgFirst": first},
                in_bits=max(1, (words - 1).bit_length()),
                out_bits=bits,
                inputs=(),
                outputs=(),
                vector=0,
                steps=1,
                stages=1,
                stores=(Store(image, bits, bits + spare, index, 0, 0, ()),),
            )
        )

    for index, (words, bits, spare) in enumerate([(1, 1, 0), (5, 7, 2), (6, 80, 0)], start=8):
        payload = [rng.getrandbits(bits) for _ in range(words)]
        image = tuple(word | (word.bit_count() & 1) << bits for word in payload)
        cases.append(
            Case(
                name=f"m{words}x{bits}parity",
                parameters={"Words": words, "Bits": bits, "Parity": 1},
                in_bits=max(1, (words - 1).bit_length()),
                out_bits=bits,
                inputs=(),
                outputs=(),
                vector=0,
                steps=1,
                stages=1,
                stores=(Store(image, bits + 1, bits + 1 + spare, index, 0, 0, ()),),
            )
        )

    sizes = [(5, 7, 2, 1), (6, 80, 0, 2), (1, 3, 0, 3), (5, 7, 2, 3), (8, 33, 0, 3)]
    for index, (words, bits, spare, style) in enumerate(sizes, start=12):
        image = tuple(rng.getrandbits(bits) for _ in range(words))
        cases.append(
            Case(
                name=f"m{words}x{bits}style{style}",
                parameters={"Words": words, "Bits": bits, "Style": style},
                in_bits=max(1, (words - 1).bit_length()),
                out_bits=bits,
                inputs=(),
                outputs=(),
                vector=0,
                steps=1,
                stages=1,
                stores=(Store(image, bits, bits + spare, index, 0, 0, ()),),
            )
        )

    run_unit("memory", cases, work=tmp_path, cache=compiled, simulator=simulator)


@pytest.mark.rtl
def test_popcount_counts_the_ones(simulator, compiled, tmp_path):
    rng = random.Random(0)
    cases = []
    for bits in (1, 2, 7, 8, 49, 64, 65, 200):
        few = range(1 << bits) if bits <= 8 else []
        wide = [0, (1 << bits) - 1, *(rng.getrandbits(bits) for _ in range(40))]
        words = tuple(few) or (*wide, *(1 << bit for bit in range(bits)))
        cases.append(
            Case(
                name=f"p{bits}",
                parameters={"Bits": bits},
                in_bits=bits,
                out_bits=bits.bit_length(),
                inputs=words,
                outputs=tuple(word.bit_count() for word in words),
                vector=1,
                steps=1,
                stages=0,
            )
        )

    run_unit("popcount", cases, work=tmp_path, cache=compiled, simulator=simulator)
