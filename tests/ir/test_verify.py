"""Each invariant of a graph, broken once."""

from dataclasses import replace
from fractions import Fraction

import pytest

from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ir.verify import verify
from flow.ops import Add, ArgMax, MatVec, Reshape, SumPool, Threshold
from flow.passes import check_trained, is_trained, run_passes
from tests.strategies import BIPOLAR

S2, S6, U2 = IntType(2, True), IntType(6, True), IntType(2)
FC = MatVec([[1, 0], [0, 1]], S2, S6)
ACT = Threshold([[-1, 2, 5]] * 2, IntType(7, True), [1, 1], 0, U2)
SCALE = Affine(Fraction(1, 4))
GRAPH = Graph(
    "g",
    "x",
    Edge((2,), U2),
    (
        Node("fc0", FC, ("x",), "a"),
        Node("act0", ACT, ("a",), "y"),
        Node("fc1", FC, ("y",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    ),
    "class",
    logit_affine=(SCALE, SCALE),
)


def other(name, /, **changes):
    """The graph with fields of one node changed."""
    return GRAPH.map(lambda node: replace(node, **changes) if node.name == name else node)


def forged(op, **values):
    """``op`` with fields set behind its constructor's back, as only a bug can."""
    twin = replace(op)
    for name, value in values.items():
        object.__setattr__(twin, name, value)
    return twin


BROKEN = {
    "no nodes": (replace(GRAPH, nodes=()), "graph 'g' has no nodes"),
    "a name with a capital": (other("fc0", name="FC"), "node 'FC': a name is lower case"),
    "a name twice": (other("fc1", name="fc0"), "node 'fc0': two nodes have this name"),
    "an edge twice": (other("fc1", output="a"), "node 'fc1': edge 'a' is produced twice"),
    "an edge of no node": (other("fc1", inputs=("q",)), "'q' is produced by no earlier node"),
    "a later edge": (other("fc0", inputs=("y",)), "node 'fc0': input 'y' is produced by no earl"),
    "an output of no node": (replace(GRAPH, output="q"), "output 'q' is produced by no node"),
    "a shape that does not fit": (
        other("fc1", op=MatVec([[1, 1, 1]], S2, S6)),
        "node 'fc1': 3 columns cannot take an input 2:u2",
    ),
    "a popcount of what is not bipolar": (
        other("fc1", op=MatVec([[1, 1]], BIPOLAR, IntType(2), popcount=True)),
        "node 'fc1': popcount form needs bipolar inputs, not u2",
    ),
    "an edge that nothing reads": (
        replace(GRAPH, nodes=(Node("dead", FC, ("x",), "z"), *GRAPH.nodes)),
        "edge 'z' is read by nothing",
    ),
    "an ArgMax before the end": (
        replace(
            GRAPH,
            nodes=(
                *GRAPH.nodes,
                Node("again", Reshape((1,)), ("class",), "one"),
            ),
            output="one",
        ),
        "node 'argmax': ArgMax decides the class, as the last node",
    ),
    "an output before the last node": (
        replace(
            GRAPH,
            nodes=(*GRAPH.nodes[:3], Node("act1", ACT, ("logits",), "q")),
            output="logits",
            logit_affine=None,
        ),
        "edge 'q' is read by nothing",
    ),
    "a value outside its type": (
        other("fc0", op=forged(FC, weights=FC.weights * 5)),
        r"values 0\.\.5 do not fit s2",
    ),
    "a threshold outside its type": (
        other("act0", op=forged(ACT, thresholds=ACT.thresholds + 99)),
        r"do not fit s7",
    ),
    "no elements": (
        other("fc0", op=forged(FC, weights=FC.weights[:, :0])),
        r"columns cannot take an input|are none",
    ),
    "no steps": (
        other("act0", op=Threshold(ACT.thresholds[:, :0], IntType(7, True), [1, 1], 0, U2)),
        r"node 'act0': thresholds of shape \(2, 0\) are none",
    ),
    "a product kept in a bipolar register": (
        other("fc1", op=MatVec(FC.weights, S2, BIPOLAR)),
        "node 'fc1': a sum cannot be kept in b1",
    ),
    "an add kept in a bipolar register": (
        other("fc1", op=Add([[1]], [0], BIPOLAR)),
        "node 'fc1': a sum cannot be kept in b1",
    ),
    "too few logit scales": (
        replace(GRAPH, logit_affine=(SCALE,)),
        "1 logit scales for 2 classes",
    ),
    "a logit scale of 0": (
        replace(GRAPH, logit_affine=(SCALE, Affine(Fraction(0)))),
        "logit scale 0 is not positive",
    ),
    "a negative input scale": (
        replace(GRAPH, input_affine=Affine(Fraction(-1))),
        "input scale -1 is not positive",
    ),
}


def test_the_graph_that_is_broken_below_is_legal_as_it_stands():
    assert check_trained(verify(GRAPH)) is GRAPH


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_graph_is_refused_by_what_is_wrong_with_it(what):
    graph, message = BROKEN[what]
    with pytest.raises(ValueError, match=message):
        verify(graph)


def test_a_pooled_sum_needs_a_register_too():
    pool = SumPool((1, 1), (1, 1), BIPOLAR)
    graph = Graph("g", "x", Edge((1, 1, 1), U2), (Node("pool", pool, ("x",), "y"),), "y")
    with pytest.raises(ValueError, match="node 'pool': a sum cannot be kept in b1"):
        verify(graph)


def test_an_edge_without_elements_is_refused():
    graph = Graph("g", "x", Edge((0, 2), U2), (Node("fc0", FC, ("x",), "y"),), "y")
    with pytest.raises(ValueError, match="edge 'x': 0x2:u2 has no elements"):
        verify(graph)


UNTRAINED = {
    "a sum that leaves its register": (
        other("fc0", op=replace(FC, accumulator=S2)),
        "node 'fc0': sums of its weights leave s2",
    ),
    "thresholds that descend": (
        other("act0", op=replace(ACT, thresholds=[[5, 2, -1]] * 2)),
        "node 'act0': its thresholds do not ascend",
    ),
    "a threshold type that ends at the register": (
        other("act0", op=replace(ACT, threshold_type=IntType(4, True))),
        r"node 'act0': s4 does not hold -12\.\.7, the register and one above",
    ),
}


@pytest.mark.parametrize("what", UNTRAINED)
def test_what_no_graph_as_trained_has_is_named(what):
    graph, message = UNTRAINED[what]
    assert not is_trained(graph)
    with pytest.raises(ValueError, match=message):
        check_trained(verify(graph))


@pytest.mark.parametrize("what", UNTRAINED)
def test_a_pass_must_leave_a_trained_graph_trained(what):
    graph, message = UNTRAINED[what]
    assert run_passes(graph, (lambda g: g,)) is graph
    with pytest.raises(ValueError, match=message):
        run_passes(GRAPH, (lambda g: graph,))


def test_a_threshold_type_must_hold_one_more_than_the_register():
    def graph(kind):
        nodes = (
            Node("fc0", MatVec([[1]], IntType(1), U2), ("x",), "a"),
            Node("act0", Threshold([[1]], kind, [1], 0, IntType(1)), ("a",), "y"),
        )
        return Graph("g", "x", Edge((1,), U2), nodes, "y")

    assert is_trained(graph(IntType(3)))
    with pytest.raises(ValueError, match=r"u2 does not hold 0\.\.4, the register and one above"):
        check_trained(graph(U2))
