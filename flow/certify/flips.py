"""Every single stored bit flip, exactly: which images change, and how.

One flip changes one element of its node's output. What the rest of the network makes of that
element depends only on its new value, so each (image, element, value) is followed once however
many flips lead to it. Nothing is bounded or approximated: accumulators wrap and unsorted
thresholds act as in ``Graph.evaluate``, which a test compares fault by fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flow.certify.stored_bits import Block, StoredBits
from flow.certify.struck import channel, struck_outputs
from flow.certify.suffix import Effect, Followed, Score, Suffix
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph
from flow.ops import Add, ArgMax, MatVec, Threshold

Progress = Callable[[int, int], None]

# Values of one element under all of its flips that are held at once, times eight bytes.
_HELD = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class SingleFlips:
    """The answer for every stored bit (in the order of ``bits``) and every image.

    ``counts[k, e]`` is the number of images on which flip ``k`` has ``Effect`` ``e``.
    ``critical`` holds one bit per (flip, image), packed along images as ``np.packbits`` does: the
    flip changes the image's class. ``worst_fault[i]`` is the flip that leaves image ``i``'s label
    furthest behind its best rival, the first such in order; -1 where nothing is stored.
    ``rises[k]`` sums over images by how much flip ``k`` raises the caller's score of the logits.
    """

    graph_digest: str
    bits: StoredBits
    correct: NDArray[np.bool_]
    counts: Array
    critical: NDArray[np.uint8]
    critical_faults: Array
    worst_fault: Array
    rises: NDArray[np.float64]

    @property
    def class_changes(self) -> Array:
        """For each flip, the images whose class it changes."""
        changes: Array = self.counts[:, Effect.RIGHT_TO_WRONG :].sum(axis=1)
        return changes

    @property
    def logit_changes(self) -> Array:
        """For each flip, the images whose logits it changes, class or not."""
        changes: Array = self.counts[:, Effect.TOLERABLE :].sum(axis=1)
        return changes

    @property
    def certified(self) -> NDArray[np.bool_]:
        """The images classified correctly whose class no single flip changes."""
        certified: NDArray[np.bool_] = self.correct & (self.critical_faults == 0)
        return certified

    def enumeration(self) -> str:
        """SHA-256 over every flip's counts and critical images: a second run must repeat it."""
        total = hashlib.sha256(self.graph_digest.encode())
        for part in (self.correct, self.counts, self.critical, self.critical_faults):
            total.update(np.ascontiguousarray(part).tobytes())
        return total.hexdigest()


def single_flips(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    score: Score | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> SingleFlips:
    """Flip every stored bit of ``graph``, one at a time, on every image; exact, exhaustive.

    Args:
        graph: a chain of one-dimensional layers that ends in ArgMax.
        x: images, (batch, inputs); y: their labels, (batch,).
        score: of logits (any, classes) and labels, one float64 each; its rise is summed for
            every flip, and nothing is scored without it.
        progress: called with (channels done, channels in all).

    Raises:
        InputError: the graph is no such chain, or labels and images do not match.
    """
    check_chain(graph, x, y)
    bits = StoredBits.of(graph)
    engine = BatchedEngine(graph, device=device)
    tally = _Tally.empty(len(bits), len(x))
    parts = list(_chunks(graph, bits, len(x)))
    steps = len(parts) * _channel_count(graph)
    done = 0
    for part in parts:
        view = Suffix(engine, engine.run_all(x[part]), y[part], score)
        tally.correct[part] = view.classes == view.y
        for places, where, values in _channels(view, bits):
            tally.add(part, places, view.follow(*where, values))
            done += 1
            if progress is not None:
                progress(done, steps)
    return SingleFlips(
        digest(graph), bits, tally.correct, tally.counts, tally.critical,
        tally.critical_faults, tally.worst_fault, tally.rises,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Tally:
    """The arrays of ``SingleFlips`` being filled, and each image's lowest standing so far."""

    correct: NDArray[np.bool_]
    counts: Array
    critical: NDArray[np.uint8]
    critical_faults: Array
    worst_fault: Array
    lowest: Array
    rises: NDArray[np.float64]

    @classmethod
    def empty(cls, flips: int, images: int) -> _Tally:
        return cls(
            correct=np.zeros(images, dtype=np.bool_),
            counts=np.zeros((flips, len(Effect)), dtype=np.int64),
            critical=np.zeros((flips, -(-images // 8)), dtype=np.uint8),
            critical_faults=np.zeros(images, dtype=np.int64),
            worst_fault=np.full(images, -1),
            lowest=np.full(images, np.iinfo(np.int64).max),
            rises=np.zeros(flips),
        )

    def add(self, part: slice, places: list[slice], seen: Followed) -> None:
        """Enter the flips at ``places`` (one after the other in ``seen``) on images ``part``."""
        packed = slice(part.start // 8, -(-part.stop // 8))
        changed = seen.effect >= Effect.RIGHT_TO_WRONG
        self.critical_faults[part] += changed.sum(axis=0)
        start = 0
        for place in places:
            rows = slice(start, start + place.stop - place.start)
            for kind in Effect:
                self.counts[place, kind] += (seen.effect[rows] == kind).sum(axis=1)
            self.critical[place, packed] = np.packbits(changed[rows], axis=1)
            if seen.rise is not None:
                self.rises[place] += seen.rise[rows].sum(axis=1)
            self._keep_worst(part, place.start, seen.standing[rows])
            start = rows.stop

    def _keep_worst(self, part: slice, first: int, standing: Array) -> None:
        row = standing.argmin(axis=0)
        found, position = standing[row, np.arange(standing.shape[1])], row + first
        lowest, worst = self.lowest[part], self.worst_fault[part]
        better = (found < lowest) | ((found == lowest) & (position < worst))
        lowest[better], worst[better] = found[better], position[better]


def _channels(
    view: Suffix, bits: StoredBits
) -> Iterator[tuple[list[slice], tuple[int, int], Array]]:
    """For each channel of each edge that a mixing node reads: its flips and the values they give.

    Yields the positions of the flips (slices, in order), (consumer, channel) and the values.
    """
    nodes = view.engine.graph.nodes
    by_node: dict[str, dict[str, Block]] = {}
    for block in bits.blocks:
        by_node.setdefault(block.node, {})[block.parameter] = block
    for first, consumer in _segments(view.engine.graph):
        for unit in range(view.engine.graph.edge(nodes[first].output).shape[0]):
            places: list[slice] = []
            found: list[Array] = []
            for k in range(first, consumer):
                struck = struck_outputs(nodes[k].op, view.edges[nodes[k].inputs[0]], unit=unit)
                for name, values in struck.items():
                    places.append(by_node[nodes[k].name][name].positions(unit))
                    found.append(_through(view.engine.graph, k + 1, consumer, unit, values))
            if found:
                yield places, (consumer, unit), np.concatenate(found)


def _through(graph: Graph, first: int, consumer: int, unit: int, values: Array) -> Array:
    for node in graph.nodes[first:consumer]:
        values = channel(node.op, unit).evaluate(values[..., None])[..., 0]
    return values


def _segments(graph: Graph) -> list[tuple[int, int]]:
    """(first, consumer): nodes from ``first`` on act channel by channel; ``consumer`` mixes."""
    mixing = [k for k, node in enumerate(graph.nodes) if not isinstance(node.op, Threshold | Add)]
    starts = [0, *(k for k in mixing if k > 0)]
    return list(pairwise(starts))


def _channel_count(graph: Graph) -> int:
    return sum(graph.edge(graph.nodes[k].output).shape[0] for k, _ in _segments(graph))


def _chunks(graph: Graph, bits: StoredBits, images: int) -> Iterator[slice]:
    """Whole bytes of images, as many as the flips of the busiest channel leave room for."""
    busiest = max((block.size // block.shape[0] for block in bits.blocks), default=1)
    size = max(8, _HELD // busiest // 8 * 8)
    return (slice(k, min(k + size, images)) for k in range(0, images, size))


def check_chain(graph: Graph, x: Array, y: Array) -> None:
    """Raise ``InputError`` unless flips can be followed along ``graph`` and ``y`` labels ``x``."""
    source = graph.input
    for node in graph.nodes:
        known = isinstance(node.op, MatVec | Threshold | Add | ArgMax)
        grouped = isinstance(node.op, MatVec) and node.op.groups != 1
        ends = isinstance(node.op, ArgMax) == (node is graph.nodes[-1])
        flat = len(graph.edge(source).shape) == 1
        if not (known and ends and flat) or grouped or node.inputs != (source,):
            raise InputError(
                f"node {node.name!r}: single flips are followed along a chain of one-dimensional "
                "MatVec, Threshold and Add that ends in ArgMax; use a campaign for this graph"
            )
        source = node.output
    classes = graph.edge(graph.logits).shape[0]
    if y.shape != (len(x),) or (y.size and not (y.min() >= 0 and y.max() < classes)):
        raise InputError(f"labels must be {len(x)} integers from 0 to {classes - 1}, one per image")
