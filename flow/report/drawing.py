"""A graph as a picture: DOT for Graphviz users, and a self-contained SVG for everybody else."""

from __future__ import annotations

from html import escape

from flow.ir import Graph, Node
from flow.ir.text import stored_bits
from flow.report.tables import macs

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 230, 46, 30, 34, 20


def graph_dot(graph: Graph) -> str:
    """The graph in the DOT language, one box per node and one labelled arrow per edge."""
    edges = graph.edges()
    producer = {graph.input: graph.input} | {n.output: n.name for n in graph.nodes}
    lines = [f'digraph "{graph.name}" {{', "  node [shape=box];", f'  "{graph.input}";']
    for node in graph.nodes:
        lines.append(f'  "{node.name}" [label="{node.name}\\n{type(node.op).__name__}"];')
        for name in node.inputs:
            lines.append(f'  "{producer[name]}" -> "{node.name}" [label="{edges[name]}"];')
    return "\n".join([*lines, "}", ""])


def graph_svg(graph: Graph) -> str:
    """The graph as SVG: a node stands below everything it reads, branches side by side."""
    edges = graph.edges()
    place = _places(graph)
    producer = {n.output: n.name for n in graph.nodes} | {graph.input: graph.input}
    boxes = [_box(place[graph.input], graph.input, str(graph.input_edge), "#e8f0e4")]
    arrows = []
    for node in graph.nodes:
        boxes.append(
            _box(place[node.name], f"{node.name}: {type(node.op).__name__}", _facts(graph, node))
        )
        for name in node.inputs:
            arrows.append(_arrow(place[producer[name]], place[node.name], str(edges[name])))
    width = 2 * MARGIN + max(x for x, _ in place.values()) + BOX_WIDTH
    height = 2 * MARGIN + max(y for _, y in place.values()) + BOX_HEIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    head += f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    mark = '<defs><marker id="a" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
    mark += '<path d="M0,0 L7,3 L0,6 z" fill="#555"/></marker></defs>'
    return "\n".join([head, mark, *arrows, *boxes, "</svg>", ""])


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    """Top-left corners: depth is the longest way from the input, column the order within it."""
    depth = {graph.input: 0}
    for node in graph.nodes:
        depth[node.output] = 1 + max(depth[name] for name in node.inputs)
    taken: dict[int, int] = {}
    corners = {graph.input: (0, 0)}
    for node in graph.nodes:
        row = depth[node.output]
        column = taken.get(row, 0)
        taken[row] = column + 1
        corners[node.name] = (column * (BOX_WIDTH + GAP_X), row * (BOX_HEIGHT + GAP_Y))
    return corners


def _facts(graph: Graph, node: Node) -> str:
    bits, products = stored_bits(node.op), macs(node.op, *map(graph.edge, node.inputs))
    facts = [str(graph.edge(node.output))]
    facts += [f"{bits:,} bits"] if bits else []
    facts += [f"{products:,} MAC"] if products else []
    return "  ".join(facts)


def _box(corner: tuple[int, int], title: str, facts: str, fill: str = "#eef2f8") -> str:
    x, y = corner[0] + MARGIN, corner[1] + MARGIN
    middle = x + BOX_WIDTH // 2
    return (
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="#556"/><text x="{middle}" y="{y + 19}" text-anchor="middle" font-weight="bold">'
        f'{escape(title)}</text><text x="{middle}" y="{y + 36}" text-anchor="middle" fill="#444">'
        f"{escape(facts)}</text>"
    )


def _arrow(start: tuple[int, int], end: tuple[int, int], label: str) -> str:
    x1, y1 = start[0] + MARGIN + BOX_WIDTH // 2, start[1] + MARGIN + BOX_HEIGHT
    x2, y2 = end[0] + MARGIN + BOX_WIDTH // 2, end[1] + MARGIN
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2 - 1}" stroke="#555" marker-end="url(#a)"/>'
        f'<text x="{(x1 + x2) // 2 + 6}" y="{(y1 + y2) // 2 + 4}" fill="#777" font-size="10">'
        f"{escape(label)}</text>"
    )
