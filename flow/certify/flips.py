"""Every single stored bit flip, or every burst, exactly: which images change, and how.

One flip changes one element, or one channel of an image; ``flow.delta`` computes again only what
that reaches, on any graph that ends in a class. Nothing is bounded or approximated: accumulators
wrap and unsorted thresholds act as in ``Graph.evaluate``, which a test compares fault by fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from flow.certify.bursts import Bursts
from flow.certify.effect import Effect, Score, effects, standing
from flow.certify.input import check_labels
from flow.certify.stored_bits import StoredBits
from flow.delta import Program, Strikes, Tally, Walker
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]

# Results of (flip, image) pairs held at once by each thread, and elements of clean runs.
_PAIRS = 1 << 22
_ELEMENTS = 1 << 24


Bits = TypeVar("Bits", StoredBits, Bursts)


@dataclass(frozen=True, slots=True, eq=False)
class Flips(Generic[Bits]):
    """The answer for every stored bit or burst (in the order of ``bits``) and every image.

    ``counts[k, e]`` is the number of images on which flip ``k`` has ``Effect`` ``e``.
    ``critical`` holds one bit per (flip, image), packed along images as ``np.packbits`` does: the
    flip changes the image's class. ``worst_fault[i]`` is the flip that leaves image ``i``'s label
    furthest behind its best rival, the first such in order; -1 where nothing is stored.
    ``rises[k]`` sums over images by how much flip ``k`` raises the caller's score of the logits.
    """

    graph_digest: str
    bits: Bits
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


SingleFlips = Flips[StoredBits]


def single_flips(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    score: Score | None = None,
    device: str = "cpu",
    jobs: int = 1,
    progress: Progress | None = None,
) -> SingleFlips:
    """Flip every stored bit of ``graph``, one at a time, on every image; exact, exhaustive.

    Memory grows with stored bits times images by one bit each (``critical``), and not otherwise.

    Args:
        x: images, (batch, *input shape); y: their labels, (batch,).
        score: of logits (any, classes) and labels, one float64 each; its rise is summed for
            every flip, and nothing is scored without it.
        device: of the clean runs. jobs: threads that follow flips.
        progress: called with (images done, images in all).

    Raises:
        InputError: the graph does not end in the ArgMax of a vector, or labels and images do not
            match, or there is no g++.
    """
    bits = StoredBits.of(graph)
    tally, correct = _strike(graph, x, y, bits, score, device, jobs, progress)
    return _found(graph, bits, correct, tally)


def burst_flips(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    bursts: Bursts,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Flips[Bursts]:
    """Strike ``graph`` with every one of ``bursts`` on every image; exact, exhaustive.

    ``bursts`` are of a build of this very graph. Memory, other arguments and errors as
    ``single_flips``.
    """
    tally, correct = _strike(graph, x, y, bursts, None, "cpu", jobs, progress)
    return _found(graph, bursts, correct, tally)


def _found(graph: Graph, bits: Bits, correct: NDArray[np.bool_], tally: Tally) -> Flips[Bits]:
    return Flips(
        digest(graph), bits, correct, tally.counts, tally.critical, tally.critical_faults,
        tally.worst, tally.rises,
    )  # fmt: skip


def _strike(
    graph: Graph,
    x: Array,
    y: Array,
    bits: StoredBits | Bursts,
    score: Score | None,
    device: str,
    jobs: int,
    progress: Progress | None,
) -> tuple[Tally, NDArray[np.bool_]]:
    """What each strike does to each image, and which images are correct without."""
    check_labels(graph, x, y)
    if jobs < 1:
        raise InputError(f"jobs {jobs}: give 1 or more")
    program, engine = Program.of(graph), BatchedEngine(graph, device=device)
    tally = Tally(len(bits), len(x), len(Effect))
    correct = np.zeros(len(x), dtype=np.bool_)
    sets = bits.sets() if isinstance(bits, Bursts) else None
    walkers: SimpleQueue[Walker] = SimpleQueue()
    for _ in range(jobs):
        walkers.put(Walker(program, sets))

    def enter(span: slice, values: dict[str, Array]) -> int:
        """Strike the images of ``span``, whose clean edges are ``values``; how many they are."""
        images: int = span.stop - span.start
        walker = walkers.get()
        try:
            for part in _parts(span, max(1, _PAIRS // max(1, tally.flips))):
                inside = slice(part.start - span.start, part.stop - span.start)
                found = walker.strike({name: edge[inside] for name, edge in values.items()})
                _count(tally, part, found, y[part], score)
        finally:
            walkers.put(walker)
        return images

    done = 0
    with ThreadPoolExecutor(jobs) as pool:
        for block in _parts(slice(0, len(x)), _whole_bytes(_ELEMENTS // program.elements, jobs)):
            values = engine.run_edges(x[block], (*program.edges, graph.output))
            correct[block] = values.pop(graph.output) == y[block]
            for images in pool.map(enter, *_shared_out(block, values, jobs)):
                done += images
                if progress is not None:
                    progress(done, len(x))
    return tally, correct


def _shared_out(
    block: slice, values: Mapping[str, Array], jobs: int
) -> tuple[list[slice], list[dict[str, Array]]]:
    """Spans of images that threads take one after the other, and their parts of ``values``."""
    spans = list(_parts(block, _whole_bytes(-(-(block.stop - block.start) // (4 * jobs)), 1)))
    inside = [slice(span.start - block.start, span.stop - block.start) for span in spans]
    return spans, [{name: edge[part] for name, edge in values.items()} for part in inside]


def _count(tally: Tally, part: slice, found: Strikes, y: Array, score: Score | None) -> None:
    """Enter what became of every flip on the images ``part``."""
    label, clean = y[found.image], found.logits[found.clean]
    rise = None
    if score is not None:
        rise = score(found.logits, label) - score(clean, y)[found.image]
    effect = effects(found.logits, clean[found.image], label)
    tally.enter(part, found.result, effect, standing(found.logits, label), rise)


def _parts(span: slice, size: int) -> Iterator[slice]:
    for start in range(span.start, span.stop, size):
        yield slice(start, min(start + size, span.stop))


def _whole_bytes(images: int, jobs: int) -> int:
    """So many images that threads never write the same byte of ``critical``."""
    return max(8 * jobs, images // 8 * 8)
