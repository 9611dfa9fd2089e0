import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.build import graph_layouts, image_bits, image_text, read_image
from flow.build.images import code_bits, memory_layouts, pack
from flow.ir import IntType
from flow.ops import MatVec, Threshold
from flow.schedule import Folding, make_plan
from tests.schedule.networks import networks


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(1, 60))
def test_every_stored_element_is_read_back_from_the_image(graph, cycles):
    plan = make_plan(graph, cycles=cycles)
    for layout in graph_layouts(graph, plan.folding):
        op = graph.node(layout.node).op
        words = read_image(image_text(image_bits(op, layout)))
        found = {name: np.zeros(op.stored[name].encode(getattr(op, name)).size, np.int64)
                 for name in layout.parameters}  # fmt: skip
        for word, value in enumerate(words):
            for bit in range(layout.bits):
                name = layout.parameters[layout.parameter[word, bit]]
                one = (value >> bit & 1) << int(layout.bit[word, bit])
                found[name][layout.element[word, bit]] |= one
        for name, codes in found.items():
            wanted = op.stored[name].encode(getattr(op, name)).ravel()
            np.testing.assert_array_equal(codes, wanted)


def test_weight_words_follow_the_documented_order():
    weights = np.arange(-8, 8).reshape(4, 4)
    op = MatVec(weights, IntType(4, signed=True), IntType(12, signed=True))
    (layout,) = memory_layouts(op, Folding(2, 2), node="fc0")
    # word 1: rows 0 and 1, columns 2 and 3; lane (pe, simd) at (pe * 2 + simd) * 4
    words = read_image(image_text(image_bits(op, layout)))
    assert words[1] == pack([weights[0, 2], weights[0, 3], weights[1, 2], weights[1, 3]], 4)
    assert words[2] == pack([weights[2, 0], weights[2, 1], weights[3, 0], weights[3, 1]], 4)


def test_threshold_words_hold_the_sign_above_the_steps_of_each_lane():
    op = Threshold(
        [[1, 2], [-3, 4]], IntType(4, signed=True), [1, -1], 0, IntType(2), "count", True
    )
    (layout,) = memory_layouts(op, Folding(2, 1), node="act0")
    (word,) = read_image(image_text(image_bits(op, layout)))
    assert f"{word:018b}" == "0" + "0100" + "1101" + "1" + "0010" + "0001"


def test_an_image_has_the_digits_of_its_width_and_one_line_a_word():
    bits = np.array([[1, 0, 0, 0, 1], [0, 1, 1, 0, 0]], dtype=np.uint8)
    assert image_text(bits) == "11\n06\n"


def test_padding_is_written_as_zero():
    op = MatVec([[1, 1]], IntType.bipolar1(), IntType(2), popcount=True)
    (layout,) = memory_layouts(op, Folding(1, 2), node="fc0")
    layout.parameter[0, 1] = -1
    assert read_image(image_text(image_bits(op, layout))) == [1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 31), min_size=3, max_size=3), min_size=1, max_size=5))
def test_stream_words_are_lanes_side_by_side(codes):
    text = image_text(code_bits(np.array(codes), 5))
    assert read_image(text) == [pack(lanes, 5) for lanes in codes]


@pytest.mark.parametrize("op", [MatVec, Threshold])
def test_every_op_that_stores_has_a_memory_layout(op):
    assert memory_layouts.dispatch(op) is not memory_layouts.dispatch(object)


def test_an_unknown_op_has_no_memory_layout():
    with pytest.raises(TypeError, match=r"^no memory layout for str; register one"):
        memory_layouts("pool", Folding(1, 1), node="pool")
