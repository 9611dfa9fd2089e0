"""Sign bits of the largest weights, without data: DNL of Galil et al. (arXiv 2502.07408)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flow.attack.result import AttackResult
from flow.attack.rounds import Images, Progress, Proposal, check_labels, play
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Fault, Graph
from flow.ops import MatVec


def dnl(
    graph: Graph,
    *,
    budget: int,
    seed: int,
    evaluate_on: Images,
    layers: int = 10,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AttackResult:
    """Flip the highest bit of the largest weights of the first ``layers`` products.

    One weight of each kernel: of a row and input channel of a convolution, of a row of any other
    product. The paper flips signs of floats; of a stored integer the highest bit is nearest to
    that, and of a bipolar weight the only one. ``seed`` orders weights of equal size.

    Raises:
        InputError: ``layers`` is below 1, the graph stores no weights or fewer than ``budget``
            kernels, or a label is no class of the graph.
    """
    check_labels(graph, *evaluate_on)
    if layers < 1:
        raise InputError(f"layers {layers}: give 1 or more")
    order = list(largest_weights(graph, layers=layers, seed=seed))
    if not 0 <= budget <= len(order):
        raise InputError(
            f"budget {budget}: the first {layers} layers have {len(order)} kernels; "
            "give at most these"
        )
    return play(
        BatchedEngine(graph, device=device),
        (Proposal((fault,)) for fault in order),
        method="dnl",
        seed=seed,
        budget=budget,
        evaluate_on=evaluate_on,
        progress=progress,
    )


def largest_weights(graph: Graph, *, layers: int, seed: int) -> Iterator[Fault]:
    """A flip of the highest bit of each kernel's largest weight, the largest weights first.

    Sizes are relative to the largest that the layer's type holds, so that layers compare.
    """
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float, Fault]] = []
    products = [node for node in graph.nodes if isinstance(node.op, MatVec)]
    for node in products[:layers]:
        op = node.op
        assert isinstance(op, MatVec), "products only"
        rows, columns = op.weights.shape
        kind = op.weight_type
        most = max(abs(kind.code_lo), kind.code_hi)
        size = np.abs(op.read).astype(np.float64) / most
        chance = rng.random(size.shape)
        channels = columns // op.positions if op.positions > 1 else 1
        for row in range(rows):
            for channel in range(channels):
                own = np.arange(channel, columns, channels)
                best = own[np.lexsort((chance[row, own], -size[row, own]))[0]]
                fault = Fault(node.name, "weights", (row, int(best)), kind.bits - 1)
                found.append((-size[row, best], chance[row, best], fault))
    for _, _, fault in sorted(found, key=lambda one: one[:2]):
        yield fault
