from dataclasses import replace

import pytest

from flow.ir import Edge, Graph, IntType, Node
from flow.ir.verify import verify
from flow.ops import ArgMax, MatVec
from flow.passes import run_passes

OP = MatVec([[1, 0], [0, 1]], IntType(2, True), IntType(4, True))
NODES = (Node("fc0", OP, ("x",), "y"), Node("argmax", ArgMax(), ("y",), "class"))
GRAPH = Graph("g", "x", Edge((2,), IntType(2)), NODES, "class")


def test_a_legal_graph_comes_back_as_it_is():
    assert verify(GRAPH) is GRAPH
    assert run_passes(GRAPH, ()) is GRAPH


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((replace(NODES[0], name="FC 0"), NODES[1]), "node 'FC 0': a name is lower case letters"),
        ((NODES[0], replace(NODES[1], name="fc0")), "node 'fc0': two nodes have this name"),
        (
            (*NODES[:1], Node("fc1", OP, ("x",), "z"), NODES[1]),
            "edge 'z' is read by nothing",
        ),
        ((NODES[0], replace(NODES[1], inputs=("w",))), "node 'argmax': input 'w' is produced by"),
    ],
)
def test_what_a_pass_must_not_leave_behind_is_named(nodes, message):
    broken = replace(GRAPH, nodes=nodes)
    with pytest.raises(ValueError, match=message):
        verify(broken)
    with pytest.raises(ValueError, match=message):
        run_passes(GRAPH, (lambda graph: broken,))
