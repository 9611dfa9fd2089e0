"""What a board has to answer: the graph's class and logits, or its votes under noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from flow.certify import Smoothing
from flow.certify.noise_streams import NoiseStream
from flow.certify.smoothing import ESTIMATION, noise_stream, noise_table
from flow.ir import Array, Fault, Graph
from flow.schedule import Plan, interval, simulate_tokens


class Answers(Protocol):
    """Asked for every run in the order of the runs; a reset of the board is told."""

    latency: int  # cycles from an image's first beat to its result

    def next(self, image: Array, faults: Sequence[Fault] = ()) -> tuple[int, list[int]]:
        """Class and logits, or votes, of ``image``, (*input shape), with ``faults`` stored."""
        ...

    def reset(self) -> None:
        """The board's reset button was pressed."""
        ...


def answers(graph: Graph, plan: Plan, smoothing: Mapping[str, Any] | None) -> Answers:
    """Those of a board top of ``graph``; ``smoothing`` as ``board.json`` records it."""
    return _Plain(graph, plan) if smoothing is None else _Votes(graph, plan, smoothing)


class _Plain:
    def __init__(self, graph: Graph, plan: Plan) -> None:
        self._graph = graph
        self.latency = simulate_tokens(graph, plan.folding, plan.fifo_depth).first_latency

    def next(self, image: Array, faults: Sequence[Fault] = ()) -> tuple[int, list[int]]:
        values = self._graph.evaluate_all(image[None], faults)
        return int(values[self._graph.output][0]), values[self._graph.logits][0].tolist()

    def reset(self) -> None:
        """Nothing is remembered from image to image."""


class _Votes:
    def __init__(self, graph: Graph, plan: Plan, smoothing: Mapping[str, Any]) -> None:
        self._graph, self._votes = graph, int(smoothing["votes"])
        self._terms = Smoothing(
            Fraction(smoothing["sigma"]),
            self._votes,
            seed=int(smoothing["seed"]),
            lanes=int(smoothing["lanes"]),
        )
        self._stream = self._first()
        steps = len(noise_table(graph, self._terms).levels)
        first = simulate_tokens(graph, plan.folding, plan.fifo_depth).first_latency
        apart = (self._votes - 1) * interval(graph, plan.folding)
        on_the_way = 1 + 2 + steps.bit_length()  # replay, and noise with clog2(steps + 1) stages
        self.latency = on_the_way + first + apart + 1

    def next(self, image: Array, faults: Sequence[Fault] = ()) -> tuple[int, list[int]]:
        kind = self._graph.input_edge.type
        rows = self._stream.rows(self._votes).reshape(-1, *image.shape)
        noisy = np.clip(rows.astype(np.int64) + image, kind.lo, kind.hi)
        classes = self._graph.evaluate_all(noisy, faults)[self._graph.output]
        count = self._graph.edge(self._graph.logits).elements
        votes = np.bincount(classes.astype(np.int64).ravel(), minlength=count)
        return int(votes.argmax()), votes.tolist()

    def reset(self) -> None:
        self._stream = self._first()

    def _first(self) -> NoiseStream:
        return noise_stream(self._graph, self._terms, ESTIMATION)
