"""Which function reads which source op, and how many inputs it cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from flow.ingest.reader import SourceNode
from flow.ingest.state import State, Tensor

Function = Callable[[State, SourceNode], Tensor]


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A function that reads nodes of at least ``inputs`` inputs."""

    function: Function
    inputs: int
    dialect: str

    def read(self, state: State, node: SourceNode) -> Tensor:
        """What the node's first output is; refuses a node that is incomplete."""
        if len(node.inputs) < self.inputs or not all(node.inputs[: self.inputs]):
            raise node.refuse(f"has inputs {list(node.inputs)}, of which {self.inputs} are needed")
        for place, name in enumerate(node.inputs):
            if name and name not in state.tensors:
                raise node.refuse(f"input {place} ({name!r}) was not understood")
        return self.function(state, node)


RECOGNISERS: dict[str, Recogniser] = {}


def reads(*ops: str, inputs: int, dialect: str | None = None) -> Callable[[Function], Function]:
    """Register a function as the recogniser of source ops.

    The first paragraph of its docstring is what docs/ingestion.md says of the ops (`bitproof
    operators --markdown` makes the page's table anew). ``dialect`` is ``ONNX`` for ops that ONNX
    defines and ``QONNX`` for others, if not given.
    """

    def register(function: Function) -> Function:
        for op in ops:
            known = "ONNX" if onnx.defs.has(op) else "QONNX"
            RECOGNISERS[op] = Recogniser(function, inputs, dialect or known)
        return function

    return register
