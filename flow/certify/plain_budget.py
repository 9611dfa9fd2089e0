"""Whether budgets keep a label, once more in Python integers, for the checker alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flow.certify.plain_ops import (
    Held,
    Step,
    disowned,
    row_sums,
    scaled_sums,
    spread,
    through,
    weights_of,
)
from flow.certify.plain_rows import Interval, Seen, Table, Weight, largest
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.errors import InputError
from flow.ir import Array, Graph, IntType
from flow.ops import Add, ArgMax, MatVec


def label_withstands(
    graph: Graph,
    image: Array,
    label: int,
    flips: int,
    *,
    subset: BitSubset = EVERY_BIT,
    radius: int = 0,
) -> bool:
    """Whether budgets show that no ``flips`` flipped bits of ``subset`` take ``label`` from any
    input within ``radius`` of ``image``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    if not isinstance(graph.nodes[-1].op, ArgMax):
        raise InputError(f"node {graph.nodes[-1].name!r}: the checker wants ArgMax last")
    return kept(
        graph, spread_flips(graph, start(graph, image, flips, radius), flips, subset), label, flips
    )


Reached = tuple[dict[str, Held], dict[str, Step]]


def start(graph: Graph, image: Array, flips: int, radius: int) -> dict[str, Held]:
    """The input edge: no bit is struck before it."""
    point = [_near(graph.input_edge.type, value, radius) for value in image.ravel().tolist()]
    table: Table = [[point] * (flips + 1 - r) for r in range(flips + 1)]
    return {graph.input: Held(table, (0,) * len(point), graph.input_edge.shape[-1])}


def spread_flips(
    graph: Graph, known: Mapping[str, Held], flips: int, subset: BitSubset, *, to: str | None = None
) -> Reached:
    """Every edge from those ``known``, up to ``to`` if given, and the node steps that led there."""
    held, edges, steps = dict(known), graph.edges(), {}
    for node in graph.nodes[:-1]:
        if node.output in known:
            continue
        shapes = tuple(edges[name].shape for name in node.inputs)
        bits = {name: kept.tolist() for name, kept in subset.of(node.name, node.op).items()}
        barred = frozenset(
            (fault.parameter, fault.index, fault.bit)
            for fault in subset.barred
            if fault.node == node.name
        )
        step = Step(node, shapes, edges[node.output].shape, flips, bits, barred)
        steps[node.name] = step
        try:
            held[node.output] = through(node.op, step, *(held[name] for name in node.inputs))
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        if node.output == to:
            break
    return held, steps


def kept(graph: Graph, reached: Reached, label: int, flips: int) -> bool:
    """Whether ``label`` beats every rival within the bounds."""
    held, steps = reached
    return _logits_apart(held[graph.logits], label, flips) or _sums_apart(
        graph, held, steps, label, flips
    )


def _near(kind: IntType, value: int, radius: int) -> Interval:
    if kind.bipolar:
        return (-1, 1) if radius >= 2 else (value, value)
    return max(kind.lo, value - radius), min(kind.hi, value + radius)


def _logits_apart(logits: Held, label: int, flips: int) -> bool:
    table = logits.table if logits.apart else disowned(logits).table
    for q in range(flips + 1):
        for own in range(flips + 1 - q):
            low = table[q][own][label][0]
            for rival, (_, high) in enumerate(table[q][flips - q - own]):
                if rival != label and low - high < (1 if rival < label else 0):
                    return False
    return True


def _sums_apart(
    graph: Graph, held: dict[str, Held], steps: dict[str, Step], label: int, flips: int
) -> bool:
    """The last product and the comparison together; only where no logit can wrap."""
    node, add = graph.producer(graph.logits), None
    if node is not None and isinstance(node.op, Add) and len(node.inputs) == 1:
        node, add = graph.producer(node.inputs[0]), node
    if node is None or not isinstance(last := node.op, MatVec) or last.groups != 1:
        return False
    if len(steps[node.name].shapes[0]) != 1:
        return False
    source = held[node.inputs[0]]
    sums = row_sums(last, steps[node.name], source)
    if not _inside(sums.table, last.accumulator, flips):
        return False
    classes = len(last.weights)
    scales, offsets = [1] * classes, [0] * classes
    if add is not None and isinstance(add.op, Add):
        if not _inside(scaled_sums(add.op, steps[add.name], sums).table, add.op.accumulator, flips):
            return False
        scales = spread(add.op.multipliers[0].tolist(), classes)
        offsets = spread(add.op.offset.tolist(), classes)
    rows = weights_of(last, steps[node.name])
    seen = Seen.of(source.table, source.unit)
    for rival in range(classes):
        if rival == label:
            continue
        row = _difference(rows[rival], rows[label], scales[rival], scales[label])
        behind = largest(row, seen, flips)
        lead = offsets[label] - offsets[rival]
        if last.popcount:  # of counts: twice the lead
            lead = 2 * lead + (scales[label] - scales[rival]) * len(row)
        lead -= max(behind[q][flips - q] for q in range(flips + 1))
        if lead < (1 if rival < label else 0):
            return False
    return True


def _difference(
    theirs: Sequence[Weight], own: Sequence[Weight], scale: int, own_scale: int
) -> list[Weight]:
    """A rival's row less the label's, each as its Add scales it."""
    return [
        Weight(
            scale * rival.value - own_scale * label.value,
            tuple(scale * d for d in rival.steps) + tuple(-own_scale * d for d in label.steps),
        )
        for rival, label in zip(theirs, own, strict=True)
    ]


def _inside(sums: Table, kind: IntType, flips: int) -> bool:
    return all(
        kind.code_lo <= low and high <= kind.code_hi
        for q in range(flips + 1)
        for low, high in sums[q][flips - q]
    )
