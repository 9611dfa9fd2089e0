"""What became of each node of the file, told from what reading it added to the graph.

No recogniser says this itself: what a node made, what was decided there and who read its result
later is compared before and after, so that a new op is explained without a word of its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from flow.errors import InputError
from flow.ingest.decision import WeightDecision
from flow.ingest.final import FINAL
from flow.ingest.reader import SourceNode
from flow.ingest.state import Codes, Reading, Real, State, Weights
from flow.ir import Graph, Node
from flow.ir.text import op_text
from flow.ops import MatVec, Threshold
from flow.passes.accumulators import register_range


@dataclass(frozen=True, slots=True)
class Explained:
    """Node ``name`` of the file, an ``op``, and what became of it."""

    name: str
    op: str
    became: str


class RefusedError(InputError):
    """A node was refused; ``explained`` has what was understood up to it, and it as the last."""

    def __init__(self, message: str, explained: tuple[Explained, ...]) -> None:
        super().__init__(message)
        self.explained = explained


def explain(state: State, final: str, graph: Graph) -> tuple[Explained, ...]:
    """Every node of the file once, in file order; ``final`` is the tensor of the logits."""
    story = _Story(state, final, graph)
    readings = {reading.node.outputs[0]: reading for reading in state.readings}
    rows = []
    for node in state.source.order:
        reading = readings.get(node.outputs[0])
        if reading is not None:
            became = story.tell(reading)
        elif node.op == "Constant":
            became = "a constant of the file"
        else:
            became = "dropped: the largest logit stays the largest; argmax picks it"
        rows.append(Explained(node.name, node.op, became))
    return tuple(rows)


def explain_refusal(
    state: State, nodes: Sequence[SourceNode], error: InputError
) -> tuple[Explained, ...]:
    """The nodes that were read before one of ``nodes`` was refused, and that one; all of them
    where the logits were."""
    story = _Story(state, None, None)
    rows = [Explained(r.node.name, r.node.op, story.tell(r)) for r in state.readings]
    for refused in nodes[len(rows) : len(rows) + 1]:
        reason = str(error).removeprefix(str(refused.refuse("")))
        rows.append(Explained(refused.name, refused.op, f"refused: {reason}"))
    return tuple(rows)


def explain_ops(state: State, known: Container[str]) -> tuple[Explained, ...]:
    """Every node of the file, where some have an op that nothing reads and so none was read."""
    return tuple(
        Explained(
            node.name,
            node.op,
            "its op is read"
            if node.op in known or node.op in (*FINAL, "Constant")
            else "refused: its op is not supported",
        )
        for node in state.source.order
    )


class _Story:
    """Tells one reading after the other; ``graph`` is what the passes made of the nodes."""

    def __init__(self, state: State, final: str | None, graph: Graph | None) -> None:
        self._final, self._edges = final, dict(state.edges)
        self._nodes = {node.name: node for node in state.nodes}
        if graph is not None:
            self._nodes = {node.name: node for node in graph.nodes}
            self._edges = graph.edges()
        self._made_at = {node.output: node.name for node in state.nodes}
        self._before = {state.source.input: state.tensors[state.source.input]}
        self._before |= {reading.node.outputs[0]: reading.result for reading in state.readings}
        self._readers: dict[str, list[Reading]] = {}
        for reading in state.readings:
            for name in dict.fromkeys(reading.node.inputs):
                self._readers.setdefault(name, []).append(reading)

    def tell(self, reading: Reading) -> str:
        parts = []
        if reading.stated is not None:
            parts.append(f"input stated as {reading.stated}")
        parts += [self._made(node) for node in reading.made]
        for decision in reading.decisions:
            if decision.source == decision.output and reading.stated is None:
                name = self._made_at.get(decision.output, decision.output)
                parts.append(f"nothing to do: the integers of {name} are its codes")
        parts += [self._weights(reading, decision) for decision in reading.weights]
        return "; ".join(parts) or self._quiet(reading)

    def _made(self, node: Node) -> str:
        found = self._nodes.get(node.name)
        if found is None:
            return f"{node.name}: merged away by a pass"
        op = found.op
        if isinstance(op, MatVec):
            form = ", popcount" if op.popcount else ""
            shape = "x".join(map(str, op.weights.shape))
            return (
                f"layer {node.name} (MatVec {shape}, {op.weight_type} weights, "
                f"accumulator {op.accumulator}{form})"
            )
        if isinstance(op, Threshold):
            channels, levels = op.thresholds.shape
            constant = self._constant_channels(found, op)
            return (
                f"thresholds {node.name} ({levels} for each of {channels} channels, "
                f"{constant} channels constant)"
            )
        return f"makes {op_text(found)}"

    def _constant_channels(self, node: Node, op: Threshold) -> int:
        """How many channels give one code, whatever fault-free or faulty integers come."""
        kind = self._edges[node.inputs[0]].type
        low, high = kind.code_lo, kind.code_hi
        for source in self._nodes.values():
            if source.output == node.inputs[0] and isinstance(source.op, MatVec):
                low, high = register_range(source.op, self._edges[source.inputs[0]].type)
        return int(((op.thresholds <= low) | (op.thresholds > high)).all(axis=1).sum())

    def _weights(self, reading: Reading, decision: WeightDecision) -> str:
        scale = "one scale" if decision.scale.size == 1 else "scale per channel"
        kind = decision.quantizer.type
        return f"{self._role(reading)}: {kind.bits}-bit codes ({kind}), {scale}"

    def _role(self, reading: Reading) -> str:
        """What a constant is to the nodes that use it."""
        roles = []
        for user, tensor in self._users(reading.node.outputs[0]):
            names = _names(user, self._made_at)
            layer = any(isinstance(node.op, MatVec) for node in user.made)
            first = len(user.node.inputs) > 1 and user.node.inputs[1] == tensor
            what = "weights" if layer and first else "constant"
            roles.append(f"{what} of {names or user.node.name}")
        return ", ".join(dict.fromkeys(roles)) or "constant that nothing reads"

    def _users(self, tensor: str) -> Iterator[tuple[Reading, str]]:
        """Who takes a constant into data: its readers, and those of constants made of it."""
        todo, seen = [tensor], {tensor}
        while todo:
            name = todo.pop(0)
            for reader in self._readers.get(name, []):
                output = reader.node.outputs[0]
                if isinstance(reader.result, Real):
                    yield reader, name
                elif output not in seen:
                    seen.add(output)
                    todo.append(output)

    def _quiet(self, reading: Reading) -> str:
        """A node that added nothing to the graph."""
        result = reading.result
        if isinstance(result, Weights):
            return f"other axes of the {self._role(reading)}"
        if isinstance(result, Codes):
            return "codes, a quantizer once they are dequantized"
        if not isinstance(result, Real):
            return f"constant folded, shape {[*result.shape]}"
        sources = [self._before.get(name) for name in reading.node.inputs]
        if any(source is result for source in sources):
            return "passes through: nothing to do at inference"
        steps = [source.steps for source in sources if isinstance(source, Real)]
        if result.steps in steps:
            return "other axes, same integers"
        return self._chain(reading)

    def _chain(self, reading: Reading) -> str:
        ends, logits = self._ends(reading.node.outputs[0])
        names = ", ".join(dict.fromkeys(name for end in ends if (name := self._end(end))))
        parts = [f"joined the chain of {names}: folded into thresholds"] if names else []
        others = [end for end in ends if not end.decisions]
        if others:
            read = ", ".join(dict.fromkeys(_names(end, self._made_at) for end in others))
            parts.append(f"joined the scale of the integers that {read} reads")
        if logits:
            parts.append("joined the scale and bias of the logits")
        return "; ".join(parts) or "a step that nothing reads yet"

    def _end(self, end: Reading) -> str:
        return ", ".join(self._made_at.get(d.output, d.output) for d in end.decisions)

    def _ends(self, tensor: str) -> tuple[list[Reading], bool]:
        """Where a chain of steps ends: who makes something of it, and whether it is the logits."""
        ends: list[Reading] = []
        todo, seen = [tensor], {tensor}
        while todo:
            for reader in self._readers.get(todo.pop(0), []):
                output = reader.node.outputs[0]
                if reader.made or reader.decisions:
                    ends.append(reader)
                elif isinstance(reader.result, Real) and output not in seen:
                    seen.add(output)
                    todo.append(output)
        return ends, self._final in seen


def _names(reading: Reading, made_at: dict[str, str]) -> str:
    """The node of the graph that a reading is known by: its layer, its thresholds, its last."""
    for node in reading.made:
        if isinstance(node.op, MatVec):
            return node.name
    if reading.made:
        return reading.made[-1].name
    return ", ".join(made_at.get(d.output, d.output) for d in reading.decisions)
