"""Which function reads which source op."""

from __future__ import annotations

from collections.abc import Callable

from flow.ingest.reader import SourceNode
from flow.ingest.state import State, Tensor

Recogniser = Callable[[State, SourceNode], Tensor]
RECOGNISERS: dict[str, Recogniser] = {}


def reads(*ops: str) -> Callable[[Recogniser], Recogniser]:
    """Register a recogniser for source ops."""

    def register(function: Recogniser) -> Recogniser:
        for op in ops:
            RECOGNISERS[op] = function
        return function

    return register
