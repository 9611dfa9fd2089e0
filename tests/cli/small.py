"""A network small enough for every command, and what an error looks like."""

import numpy as np

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold

PIXEL = IntType(5).within(0, 16)


def digits_graph(seed=0) -> Graph:
    rng = np.random.default_rng(seed)
    first = MatVec(rng.integers(-7, 8, (8, 64)), IntType(4, True).within(-7, 7), IntType(14, True))
    levels = Threshold(
        np.sort(rng.integers(-400, 400, (8, 3))), IntType(15, True), np.ones(8, int), 0, IntType(2)
    )
    last = MatVec(rng.integers(-7, 8, (10, 8)), IntType(4, True).within(-7, 7), IntType(9, True))
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", levels, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    return Graph("small", "x", Edge((64,), PIXEL), nodes, "class")


def one_line_error(err):
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("bitproof: error: ")
    return lines[0]
