"""Many faults in the integer model at once.

A fault changes one node; what comes before it is shared with the clean run, and only the images
whose value there really differs are followed to the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from flow.campaign.outcome import Answers
from flow.engine import BatchedEngine
from flow.errors import ClaimError
from flow.ir import Array, Fault, Graph, apply_faults


def reference(graph: Graph, x: Array, faults: Sequence[Fault] = ()) -> Answers:
    """The specification: ``Graph.evaluate_all`` on images ``x`` with all ``faults`` together."""
    return Answers.of(graph.evaluate_all(x, faults)[graph.logits])


def evaluate_faults(
    graph: Graph, x: Array, strikes: Sequence[Sequence[Fault]], *, device: str = "cpu"
) -> Answers:
    """Each strike alone: logits (strikes, images, classes) and classes (strikes, images).

    Equal to :func:`reference` strike by strike; the first is evaluated both ways every time.

    Raises:
        ClaimError: the two differ.
    """
    engine = BatchedEngine(graph, device=device)
    chain = all(later.inputs == (earlier.output,) for earlier, later in pairwise(graph.nodes))
    if chain and graph.nodes[0].inputs == (graph.input,):
        logits = _along_the_chain(engine, x, strikes)
    else:
        logits = np.stack(
            [engine.run_edges(x, (graph.logits,), strike)[graph.logits] for strike in strikes]
        )
    answers = Answers.of(logits)
    if strikes and (answers.logits[0] != reference(graph, x, strikes[0]).logits).any():
        raise ClaimError(
            f"graph {graph.name!r}: {' with '.join(map(str, strikes[0]))} gives other logits in "
            "the batched engine than in Graph.evaluate; report this"
        )
    return answers


def _along_the_chain(engine: BatchedEngine, x: Array, strikes: Sequence[Sequence[Fault]]) -> Array:
    graph = engine.graph
    numbers = {node.name: number for number, node in enumerate(graph.nodes)}
    clean = engine.run_all(x)
    logits = np.broadcast_to(clean[graph.logits], (len(strikes), *clean[graph.logits].shape)).copy()
    by_node: dict[int, list[int]] = {}
    for position, strike in enumerate(strikes):
        struck_nodes = {numbers[graph.node(fault.node).name] for fault in strike}
        if len(struck_nodes) == 1:
            by_node.setdefault(struck_nodes.pop(), []).append(position)
        elif strike:
            logits[position] = engine.run_edges(x, (graph.logits,), strike)[graph.logits]
    for number, positions in by_node.items():
        node = graph.nodes[number]
        before, after = clean[node.inputs[0]], clean[node.output]
        rows: list[Array] = []
        places: list[tuple[int, Array]] = []
        for position in positions:
            struck = apply_faults(node.op, strikes[position]).evaluate(before)
            moved = np.flatnonzero((struck != after).reshape(len(x), -1).any(axis=1))
            if moved.size:
                rows.append(struck[moved])
                places.append((position, moved))
        if not rows:
            continue
        found = engine.resume(number + 1, np.concatenate(rows))
        start = 0
        for position, moved in places:
            logits[position, moved] = found[start : start + len(moved)]
            start += len(moved)
    return logits
