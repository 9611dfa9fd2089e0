"""The integer graph on torch, a memory-bounded batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor

from flow.engine.exactness import Span, code_span, full_precision, self_test
from flow.engine.kernels import Step, kernel, tensor
from flow.engine.spatial import convolution, convolves, try_convolution
from flow.ir import Array, Fault, Graph, Node, flip_elements
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
    _whole: dict[int, tuple[int, Step]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", self._compile(self.graph, range(len(self.graph.nodes))))
        object.__setattr__(self, "_whole", self._convolutions())
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
        """Only the named edges, by name; errors as :meth:`run_all`, and:

        Raises:
            ValueError: a transient fault takes the input out of its declared range, for which alone
                products are exact.
        """
        shapes = self.graph.edges()
        faults = tuple(faults)
        passing = self.graph.transients(faults)
        self._check(x)
        if self.graph.input in passing:
            x = flip_elements(x, shapes[self.graph.input].type, passing.pop(self.graph.input))
            self._check(x)
        steps = self._with_faults(faults, (*edges, *passing))
        found = {name: np.empty((len(x), *shapes[name].shape), dtype=np.int64) for name in edges}
        size = self.batch
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            values = {self.graph.input: tensor(x[part], device=self.device)}
            with torch.inference_mode(), full_precision():
                for node, step in zip(self.graph.nodes, steps, strict=True):
                    made = step(*(values[name] for name in node.inputs))
                    if node.output in passing:
                        made = self._flipped(made, node.output, passing[node.output])
                    values[node.output] = made
            for name in edges:
                found[name][part] = _integers(values[name])
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
            found.append(part.to(torch.int64).cpu().numpy())
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

    def _with_faults(self, faults: Iterable[Fault], edges: Iterable[str]) -> tuple[Step, ...]:
        """The steps of the struck graph; windows that nobody asked for are not made."""
        struck = self.graph.with_faults(faults)
        old = self.graph.nodes
        changed = [k for k, new in enumerate(struck.nodes) if new is not old[k]]
        steps = list(self._steps)
        for k, step in zip(changed, self._compile(struck, changed), strict=True):
            steps[k] = step
        for k, (window, whole) in self._whole.items():
            if self.graph.nodes[window].output in edges:
                continue
            steps[window] = _as_it_is
            steps[k] = self._convolution(struck, window, k) if k in changed else whole
        return tuple(steps)

    def _flipped(self, values: Tensor, edge: str, faults: Iterable[Fault]) -> Tensor:
        flipped = flip_elements(_integers(values), self.graph.type_of(edge), faults)
        return tensor(flipped, device=self.device).to(values.dtype)

    def _compile(self, graph: Graph, nodes: Iterable[int]) -> tuple[Step, ...]:
        return tuple(self._step(graph.nodes[k]) for k in nodes)

    def _step(self, node: Node) -> Step:
        spans = [self.span(name) for name in node.inputs]
        widest = (min(low for low, _ in spans), max(high for _, high in spans))
        return kernel(node.op, widest, device=self.device)

    def _convolutions(self) -> dict[int, tuple[int, Step]]:
        """By number of a MatVec that alone reads a Window: the number of that, and both in one."""
        nodes, found = self.graph.nodes, {}
        for number, node in enumerate(nodes):
            readers = [k for k, later in enumerate(nodes) if node.output in later.inputs]
            op = nodes[readers[0]].op if len(readers) == 1 else None
            if isinstance(node.op, Window) and isinstance(op, MatVec):
                span = self.span(node.inputs[0])
                if convolves(node.op, op, span):
                    try_convolution(node.op, op, span, device=self.device)
                    step = self._convolution(self.graph, number, readers[0])
                    found[readers[0]] = (number, step)
        return found

    def _convolution(self, graph: Graph, window: int, reader: int) -> Step:
        first, second = graph.nodes[window], graph.nodes[reader]
        span = self.span(first.inputs[0])
        ops = (cast(Window, first.op), cast(MatVec, second.op))
        return convolution(*ops, span, device=self.device)


def _integers(values: Tensor) -> Array:
    return values.to(torch.int64).cpu().numpy()


def _as_it_is(x: Tensor) -> Tensor:
    return x
