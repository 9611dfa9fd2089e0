"""The printed graph, pinned whole."""

import numpy as np

from flow.ir import Edge, Graph, IntType, Node
from flow.ir.text import graph_text, stored_bits
from flow.ops import ArgMax, MatVec, Threshold

BIPOLAR = IntType.bipolar1()


def test_a_graph_prints_one_line_per_node():
    first = MatVec(np.ones((4, 8), int), BIPOLAR, IntType(9, True))
    levels = Threshold(np.zeros((4, 1), int), IntType(9, True), np.ones(4, int), 0, BIPOLAR)
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", levels, ("a0",), "y0"),
        Node("argmax", ArgMax(), ("y0",), "class"),
    )
    graph = Graph("tiny", "x", Edge((8,), IntType(5, declared=(0, 16))), nodes, "class")
    assert graph_text(graph) == (
        "graph tiny\n"
        "  x : 8:u5[0..16]\n"
        "  a0 : 4:s9 = fc0:MatVec(weights=4x8, weight_type=b1, accumulator=s9, decode=plain) <- x\n"
        "  y0 : 4:b1 = act0:Threshold(thresholds=4x1, threshold_type=s9, sign=4, base=0, "
        "output=b1, compare=count) <- a0\n"
        "  class : :u2 = argmax:ArgMax() <- y0\n"
        "  return class\n"
    )
    assert (stored_bits(first), stored_bits(levels)) == (32, 36)
