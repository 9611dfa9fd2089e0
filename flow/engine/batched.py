"""The integer graph on torch, a memory-bounded batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from flow.engine.exactness import Span, code_span, full_precision, self_test
from flow.engine.kernels import Step, kernel, tensor
from flow.engine.spatial import window_for
from flow.ir import Array, Fault, Graph, Node
from flow.ops import MatVec, Window

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class BatchedEngine:
    """``graph`` on ``device``, equal to ``Graph.evaluate_all`` bit for bit, faults included.

    Products run in float32 or float64 only where a bound over every stored code keeps them exact
    (TF32 off), else in int64; the extremes are tried on the device when the engine is made.
    ``memory`` bounds the bytes of activations held at once.

    Raises:
        ClaimError: the device does not multiply exactly.
        TypeError: an op has no kernel.
    """

    graph: Graph
    device: str = "cpu"
    memory: int = 1 << 28
    _steps: tuple[Step, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", self._compile(self.graph, range(len(self.graph.nodes))))
        for node in self.graph.nodes:
            if isinstance(node.op, MatVec):
                self_test(node.op, self.span(node.inputs[0]), device=self.device)

    def run(
        self, x: Array, faults: Iterable[Fault] = (), *, progress: Progress | None = None
    ) -> Array:
        """The output edge for a batch ``x``; see :meth:`run_all`."""
        return self.run_edges(x, (self.graph.output,), faults, progress=progress)[self.graph.output]

    def run_all(self, x: Array, faults: Iterable[Fault] = ()) -> dict[str, Array]:
        """Every edge's integers, int64, for a batch of shape (batch, *input shape).

        Raises:
            ValueError: the shape differs from the input edge or a value leaves its declared range.
        """
        return self.run_edges(x, tuple(self.graph.edges()), faults)

    def run_edges(
        self,
        x: Array,
        edges: tuple[str, ...],
        faults: Iterable[Fault] = (),
        *,
        progress: Progress | None = None,
    ) -> dict[str, Array]:
        """Only the named edges, by name; errors as :meth:`run_all`."""
        shapes = self.graph.edges()
        self._check(x)
        steps = self._with_faults(faults)
        found = {name: np.empty((len(x), *shapes[name].shape), dtype=np.int64) for name in edges}
        size = self.batch
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            values = {self.graph.input: tensor(x[part].astype(np.int64), device=self.device)}
            with torch.inference_mode(), full_precision():
                for node, step in zip(self.graph.nodes, steps, strict=True):
                    values[node.output] = step(*(values[name] for name in node.inputs))
            for name in edges:
                found[name][part] = values[name].cpu().numpy()
            if progress is not None:
                progress(min(start + size, len(x)), len(x))
        return found

    def resume(self, node: int, values: Array) -> Array:
        """The logits when the chain's node number ``node`` onward sees ``values``."""
        found = []
        for start in range(0, max(len(values), 1), self.batch):  # no rows have a shape too
            part = tensor(values[start : start + self.batch], device=self.device)
            with torch.inference_mode(), full_precision():
                for later, step in zip(self.graph.nodes[node:], self._steps[node:], strict=True):
                    if later.inputs[0] != self.graph.logits:
                        part = step(part)
            found.append(part.cpu().numpy())
        return np.concatenate(found)

    @property
    def batch(self) -> int:
        """Inputs evaluated at once: every edge is held in int64, with as much again in flight."""
        elements = sum(edge.elements for edge in self.graph.edges().values())
        return max(1, self.memory // (16 * elements))

    def span(self, edge: str) -> Span:
        """The values an edge can carry: declared at the checked input, any code elsewhere."""
        kind = self.graph.type_of(edge)
        return (kind.lo, kind.hi) if edge == self.graph.input else code_span(kind)

    def _check(self, x: Array) -> None:
        edge = self.graph.input_edge
        if x.shape[1:] != edge.shape:
            raise ValueError(f"input of shape {x.shape[1:]} where {edge} is wanted")
        if x.dtype.kind not in "iu" or not edge.type.contains(x):
            raise ValueError(f"input values must be integers within {edge.type}")

    def _with_faults(self, faults: Iterable[Fault]) -> tuple[Step, ...]:
        struck = self.graph.with_faults(faults)
        changed = [
            k
            for k, (old, new) in enumerate(zip(self.graph.nodes, struck.nodes, strict=True))
            if new is not old
        ]
        steps = list(self._steps)
        for k, step in zip(changed, self._compile(struck, changed), strict=True):
            steps[k] = step
        return tuple(steps)

    def _compile(self, graph: Graph, nodes: Iterable[int]) -> tuple[Step, ...]:
        return tuple(self._step(graph, graph.nodes[k]) for k in nodes)

    def _step(self, graph: Graph, node: Node) -> Step:
        span = self.span(node.inputs[0])
        readers = [later.op for later in graph.nodes if node.output in later.inputs]
        if isinstance(node.op, Window) and len(readers) == 1 and isinstance(readers[0], MatVec):
            return window_for(node.op, readers[0], self.span(node.output))
        return kernel(node.op, span, device=self.device)
