"""How many elements float32 may be excused for."""

from dataclasses import replace

import pytest

from flow.agreement import Agreement


def agreement(excused, elements, **more):
    return Agreement("qonnx", 1, 1, elements, excused, 0, 0, 0, **more)


@pytest.mark.parametrize(
    ("excused", "elements", "holds"),
    [
        (0, 10, True),
        (1, 10, True),  # however few there are, one proven excuse is none too many
        (2, 10, False),
        (1, 1_999_999, True),
        (2, 1_999_999, False),
        (2, 2_000_000, True),
        (3, 2_000_000, False),
    ],
)
def test_one_in_a_million_is_excused_and_never_less_than_one(excused, elements, holds):
    assert agreement(excused, elements).holds is holds


def test_the_share_may_be_stated_and_the_record_says_all_three_numbers():
    found = agreement(350, 1_000_000, most_excused=3e-4)
    assert not found.holds
    assert "350 of 1000000 elements lie within" in found.complaint()
    assert "more than 300; where sums are long" in found.complaint()
    record = found.record()
    assert (record["excused"], record["most_excused"], record["allowed"]) == (350, 3e-4, 300)
    assert replace(found, most_excused=1e-3).holds


def test_nothing_else_is_excused_by_a_larger_share():
    assert not replace(agreement(0, 10, most_excused=1.0), mismatches=1).holds
