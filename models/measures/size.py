"""How large a network is: hidden units, and what it stores."""

from __future__ import annotations

from typing import Literal

from flow.certify import StoredBits
from flow.ops import MatVec
from models.measures.measure import Measure, Subject


class Size(Measure):
    """Rows of each product but the last, and the stored bits that faults and attacks flip."""

    kind: Literal["size"]

    def take(self, subject: Subject) -> dict[str, float]:
        """Units by the number of their layer, and thousands of stored bits."""
        nodes = [node.op for node in subject.graph.nodes if isinstance(node.op, MatVec)]
        rows = {f"units {k}": float(len(op.weights)) for k, op in enumerate(nodes[:-1], start=1)}
        return {**rows, "stored kbit": len(StoredBits.of(subject.graph)) / 1000}
