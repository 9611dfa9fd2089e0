"""The lowering that a graph on disk came from, with the names and decisions that the disk lacks."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from flow.errors import InputError
from flow.graphfile import digest
from flow.ingest.lower import Lowered, lower
from flow.ir import Graph
from flow.ops import Compare, Decode
from flow.passes import Policy


def lower_again(path: Path, graph: Graph) -> Lowered | None:
    """The lowering of ``path`` that makes ``graph``, whichever accumulator, decode, compare and
    statement of the input that took; None where none does.

    Raises:
        InputError: the file can be lowered in no such way.
    """
    kind, scale = str(graph.input_edge.type), graph.input_affine.scale
    refused, read = None, False
    for stated, policy, decode, compare in product((False, True), Policy, Decode, Compare):
        given: dict[str, str] = {"accumulator": policy, "decode": decode, "compare": compare}
        try:
            found = (
                lower(path, **given, input_type=kind, input_scale=scale)
                if stated
                else lower(path, **given)
            )
        except InputError as error:
            refused = error
            continue
        read = True
        if digest(found.graph) == digest(graph):
            return found
    if refused is not None and not read:
        raise refused
    return None
