"""Kernels that check the parity of their words: one damaged bit is told, none or two are not."""

import pytest

from flow.build.processes import weight_limits
from flow.errors import ClaimError
from sim.kernels import KernelRun, run_kernels
from tests.conformance import (
    test_grouped_rtl,
    test_matvec_rtl,
    test_threshold_rtl,
    test_threshold_search_rtl,
)
from tests.conformance.hls_units import CACHE

CASES = {
    "matvec": [test_matvec_rtl.case(number, parity=True) for number in (0, 4, 6)],
    "depthwise": [test_grouped_rtl.depthwise_case(0, parity=True)],
    "threshold": [test_threshold_rtl.case(number, parity=True) for number in (1, 4)],
    "threshold_search": [test_threshold_search_rtl.case(number, parity=True) for number in (1, 3)],
}  # those of the RTL, whose memories are flipped where it shows


def run_of(case, struck=None, mask=0):
    """The kernel's run of ``case``, with the bits of ``mask`` flipped in memory ``struck``."""
    known = {name: v for name, v in case.parameters.items() if isinstance(v, int)}
    known = {name: v for name, v in known.items() if name != "Parity"}
    memory = [
        word ^ (mask if (place, address) == (struck, store.address) else 0)
        for place, store in enumerate(case.stores)
        for address, word in enumerate(store.image)
    ]
    parameters = known | weight_limits(known) | {"Parity": 1}
    return KernelRun(parameters, case.inputs, (len(case.inputs) // case.vector,), memory)


def written(unit, runs):
    return run_kernels(unit, runs, binaries=CACHE)


def bits_of(store):
    """Of a word, parity included."""
    return max(word.bit_length() for word in store.image)


@pytest.mark.parametrize("unit", CASES)
def test_whole_words_are_read_without_their_parity_and_nothing_is_told(unit):
    runs = [run_of(case) for case in CASES[unit]]

    for case, words in zip(CASES[unit], written(unit, runs), strict=True):
        assert tuple(words) == case.outputs, case.name


@pytest.mark.parametrize("unit", CASES)
def test_any_one_flipped_bit_of_a_word_that_is_read_is_told(unit):
    first, *others = CASES[unit]
    rest = [run_of(case) for case in others]

    for memory, store in enumerate(first.stores):
        for bit in range(bits_of(store)):
            with pytest.raises(ClaimError, match=rf"^kernel {unit}: a stored word is damaged$"):
                written(unit, [run_of(first, memory, 1 << bit), *rest])


@pytest.mark.parametrize("unit", CASES)
def test_two_flipped_bits_of_a_word_are_not_told(unit):
    first, *others = CASES[unit]
    top = bits_of(first.stores[0]) - 1
    struck = run_of(first, 0, 1 | 1 << top)
    assert struck.memory != run_of(first).memory

    changed, *_ = written(unit, [struck, *(run_of(case) for case in others)])

    assert len(changed) == len(first.outputs)
