"""Error of the integer graph whose weights have random bit errors, on several chips."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from flow.engine import BatchedEngine
from flow.ir import Graph
from flow.ops import MatVec
from models.measures.measure import Measure, Subject
from models.table import Positive


class BitErrors(Measure):
    """The mean test error over chips, each stored bit of the weights flipped with probability p.

    A chip is a random number per stored bit; it has an error where that is below p, so the errors
    of a lower rate are among those of a higher one (Stutz et al., MLSys 2021). All networks of one
    shape see the same chips.
    """

    kind: Literal["bit-errors"]
    rate: list[Annotated[float, Field(gt=0, le=0.5)]] = Field(min_length=1)
    chips: Positive = 10
    images: Positive | None = None

    def take(self, subject: Subject) -> dict[str, float]:
        """Clean error, and one column for each rate, in percent."""
        x, y = subject.first(self.images)
        found = {"error": 100 * float(1 - subject.correct[: len(y)].mean())}
        for rate in self.rate:
            wrong = [
                (BatchedEngine(chip(subject.graph, number, rate)).run(x) != y).mean()
                for number in range(self.chips)
            ]
            found[f"error at p = {100 * rate:g} %"] = 100 * float(np.mean(wrong))
        return found


def chip(graph: Graph, number: int, rate: float) -> Graph:
    """``graph`` with the bit errors that chip ``number`` has at ``rate``, in weights only."""
    rng, nodes = np.random.default_rng(number), []
    for node in graph.nodes:
        op = node.op
        if isinstance(op, MatVec):
            kind = op.weight_type
            struck = rng.random((*op.weights.shape, kind.bits)) < rate
            mask = (struck.astype(np.int64) << np.arange(kind.bits)).sum(axis=-1)
            op = replace(op, weights=kind.decode(kind.encode(op.weights) ^ mask))
        nodes.append(replace(node, op=op))
    return replace(graph, nodes=tuple(nodes))
