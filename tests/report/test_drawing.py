"""Pictures of graphs: well-formed, complete, nothing drawn on top of anything else."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import MatVec
from flow.ops.add import Add
from flow.report.drawing import BOX_HEIGHT, BOX_WIDTH, graph_dot, graph_svg
from flow.report.tables import node_rows

S8 = IntType(8, True)


def branching() -> Graph:
    def dense(name, source, output):
        return Node(name, MatVec(np.ones((4, 4), int), IntType(4, True), S8), (source,), output)

    nodes = (
        dense("fc0", "x", "a"),
        dense("left", "a", "b"),
        dense("right", "a", "c"),
        Node("join", Add([[1], [1]], [0], S8), ("b", "c"), "y"),
    )
    return Graph("branching", "x", Edge((4,), IntType(4)), nodes, "y")


def test_the_svg_is_well_formed_and_draws_every_node_once():
    root = ElementTree.fromstring(graph_svg(branching()))
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    for title in ("x", "fc0: MatVec", "left: MatVec", "right: MatVec", "join: Add"):
        assert texts.count(title) == 1
    assert "4:s8  64 bits  16 MAC" in texts


def test_no_two_boxes_overlap_and_all_are_inside_the_picture():
    root = ElementTree.fromstring(graph_svg(branching()))
    boxes = [
        (int(r.get("x")), int(r.get("y"))) for r in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    for i, (x, y) in enumerate(boxes):
        assert 0 <= x <= int(root.get("width")) - BOX_WIDTH
        assert 0 <= y <= int(root.get("height")) - BOX_HEIGHT
        for other_x, other_y in boxes[i + 1 :]:
            assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT


def test_dot_has_one_arrow_per_edge_read():
    text = graph_dot(branching())
    assert len(re.findall("->", text)) == 5
    assert '"left" -> "join" [label="4:s8"];' in text


def test_rows_count_bits_and_products():
    rows = {row["node"]: row for row in node_rows(branching())}
    assert (rows["fc0"]["stored bits"], rows["fc0"]["MACs"]) == (64, 16)
    assert (rows["join"]["stored bits"], rows["join"]["MACs"]) == (0, 0)
