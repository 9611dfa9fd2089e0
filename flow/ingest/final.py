"""What a file may do with its logits: pick the largest, which ``ArgMax`` does already."""

from __future__ import annotations

from flow.ingest.reader import Source, SourceNode

FINAL = ("TopK", "ArgMax", "Softmax", "LogSoftmax")


def logits_tensor(source: Source) -> tuple[str, tuple[SourceNode, ...], tuple[SourceNode, ...]]:
    """The tensor of logits, the nodes without those that only pick its largest entry, and those.

    Raises:
        InputError: such a node picks something else.
    """
    producers = {name: node for node in source.nodes for name in node.outputs}
    name, dropped = source.output, list[SourceNode]()
    while (node := producers.get(name)) is not None and node.op in FINAL:
        _check(source, node)
        dropped.append(node)
        name = node.inputs[0]
    picked = {node.outputs[0] for node in dropped}
    return name, tuple(n for n in source.nodes if n.outputs[0] not in picked), tuple(dropped)


def check_axis(node: SourceNode, axes: int) -> None:
    """Refuse a dropped node that does not work along the classes: axis 1 of a tensor of ``axes``,
    the batch included."""
    axis = _axis(node)
    if axis not in (1, 1 - axes):
        raise node.refuse(f"works along axis {axis} of {axes}; use the class axis, 1")


def _axis(node: SourceNode) -> int:
    return node.integer("axis", 0 if node.op == "ArgMax" else -1)


def _check(source: Source, node: SourceNode) -> None:
    if not node.inputs or not node.inputs[0]:
        raise node.refuse("has no input")
    if _axis(node) == 0:
        raise node.refuse("works along the batch; use the class axis, -1")
    if node.integer("select_last_index", 0):
        raise node.refuse("gives a tie to the largest index; use select_last_index=0")
    if node.op != "TopK":
        return
    count = source.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    k = node.integer("k", 0) if count is None else int(count.ravel()[0]) if count.size else 0
    if k != 1 or not node.integer("largest", 1):
        raise node.refuse("picks other than the one largest logit; use k=1 and largest=1")
