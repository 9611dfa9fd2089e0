"""What a SECDED code makes of flips, against the code itself and every way to spread flips."""

from itertools import combinations

import numpy as np
import pytest

from models.measures.flips import behind_secded, wrong_bits

WORD = 8  # extended Hamming (8, 4): position 0 is the parity of all, 1, 2 and 4 are check bits


def unreported(flipped):
    """Wrong bits of a word behind its decoder, from a code word with these bits flipped; 0 where
    the decoder reports. The code is linear, so the all-zero word stands for all."""
    word = [int(place in flipped) for place in range(WORD)]
    syndrome = 0
    for place, bit in enumerate(word):
        syndrome ^= place * bit
    if sum(word) % 2:  # taken for one flip, at the syndrome (0: the parity bit itself)
        word[syndrome] ^= 1
    elif syndrome:
        return 0
    return sum(word)


@pytest.mark.parametrize("flips", range(WORD + 1))
def test_a_decoder_leaves_no_more_wrong_bits_than_stated(flips):
    found = [unreported(set(places)) for places in combinations(range(WORD), flips)]
    limit = 0 if flips < 3 else flips + flips % 2
    assert max(found) <= limit
    if flips in (0, 1, 2, 3, 4, 7):  # the words of this code weigh 0, 4 and 8
        assert max(found) == limit


def test_flips_spread_over_words_do_no_more_than_stated():
    def worst(flips, largest):
        """Over all ways to spread ``flips`` or fewer, no word with more than ``largest``."""
        if flips == 0 or largest == 0:
            return 0
        one = 0 if largest < 3 else largest + largest % 2
        with_it = one + worst(flips - largest, min(largest, flips - largest))
        return max(with_it, worst(flips, largest - 1))

    assert [wrong_bits(k) for k in range(15)] == [worst(k, k) for k in range(15)]


def test_certified_flips_behind_the_code_are_those_whose_wrong_bits_are_certified():
    certified = np.array([0, 0, 1, 3, 4, 5, 6, 7, 8])
    right = np.array([False, *[True] * 8])
    found = behind_secded(certified, right)
    assert found.tolist() == [0, 2, 2, 2, 4, 4, 5, 5, 7]
    for k, bare in zip(found[1:], certified[1:], strict=True):
        assert wrong_bits(k) <= bare < wrong_bits(k + 1)
