"""Randomized smoothing in integers: the class that wins under rounded Gaussian noise.

The smoothed classifier of a graph answers with the class that has most probability when noise is
added to every element and the sum is clipped to the declared input range. Rounding and clipping
belong to what is smoothed, so the theorem for real noise applies to integer inputs as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from flow.certify.certificate import Certificate, CertificateSet, Property, Verdict, input_digest
from flow.certify.input import check_labels
from flow.certify.noise import NoiseTable
from flow.certify.noise_streams import HostNoise, LaneNoise, NoiseStream
from flow.certify.smoothing_bounds import squared_reach
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]
METHOD = "votes"
SELECTION, ESTIMATION = 0, 1  # streams of noise: the votes that choose are not those that count
_CELLS = 1 << 22  # elements of noise held at once


@dataclass(frozen=True, slots=True)
class Smoothing:
    """What is smoothed how, and with what chance of being wrong about one image.

    ``sigma`` is in steps of the input grid. ``selection`` votes choose the class, ``samples`` more
    bound its probability. ``lanes`` None: noise of the host; else of the hardware with so many
    lanes, whose own distance from a Gaussian is charged to the radius, as the host's is.
    """

    sigma: Fraction
    samples: int = 10_000
    selection: int = 100
    alpha: Fraction = Fraction(1, 1000)
    seed: int = 0
    lanes: int | None = None

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise InputError(f"sigma {self.sigma}: give a number of pixel codes above 0")
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha {self.alpha}: give a chance between 0 and 1, such as 0.001")
        if self.samples < 1 or self.selection < 1:
            raise InputError(
                f"{self.samples} samples, {self.selection} to select: give at least 1 of each"
            )
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: give 0 or more")

    @property
    def bits(self) -> int:
        """Of a uniform word."""
        return 64 if self.lanes is None else 32

    def record(self) -> dict[str, Any]:
        """The terms of a certificate file."""
        return {
            "sigma": str(self.sigma),
            "samples": self.samples,
            "selection": self.selection,
            "alpha": str(self.alpha),
            "seed": self.seed,
            "noise": "philox" if self.lanes is None else "xorshift",
            "lanes": self.lanes,
        }

    @classmethod
    def read(cls, terms: Mapping[str, Any]) -> Smoothing:
        """The inverse of ``record``."""
        return cls(
            Fraction(terms["sigma"]),
            int(terms["samples"]),
            int(terms["selection"]),
            Fraction(terms["alpha"]),
            int(terms["seed"]),
            None if terms["lanes"] is None else int(terms["lanes"]),
        )


def noise_table(graph: Graph, terms: Smoothing) -> NoiseTable:
    """The table for inputs of ``graph``.

    Raises:
        InputError: the inputs are bipolar, so no noise can be added to them.
    """
    kind = graph.input_edge.type
    if kind.bipolar:
        raise InputError(
            f"input {graph.input!r} of type {kind}: smoothing adds noise to integers; a bipolar "
            "input has none between -1 and +1"
        )
    return NoiseTable.of(terms.sigma, bits=terms.bits, span=kind.hi - kind.lo)


def noise_stream(graph: Graph, terms: Smoothing, stream: int) -> NoiseStream:
    """The noise of one stage, from its first row on."""
    table, elements = noise_table(graph, terms), graph.input_edge.elements
    if terms.lanes is None:
        return HostNoise(table, elements, seed=terms.seed, stream=stream)
    return LaneNoise(table, elements, lanes=terms.lanes, seed=terms.seed, stream=stream)


def count_votes(
    engine: BatchedEngine,
    x: Array,
    noise: NoiseStream,
    *,
    samples: int,
    progress: Progress | None = None,
) -> Array:
    """How often each image has each class under the next ``samples`` rows of ``noise``.

    Every image sees the same rows: they are drawn once, and independent for each image.

    Returns:
        (images, classes), each row summing to ``samples``.
    """
    edge = engine.graph.input_edge
    classes = engine.graph.edge(engine.graph.logits).shape[0]
    votes = np.zeros((len(x), classes), dtype=np.int64)
    size = max(1, min(engine.batch, _CELLS // edge.elements))
    low, high = edge.type.lo, edge.type.hi
    for start in range(0, samples, size):
        rows = noise.rows(min(size, samples - start)).reshape(-1, *edge.shape)
        for k, image in enumerate(x):
            noisy = np.clip(rows + image.astype(np.int32), low, high)
            votes[k] += np.bincount(engine.run(noisy), minlength=classes)
        if progress is not None:
            progress(min(start + size, samples), samples)
    return votes


def certify_smoothing(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    terms: Smoothing,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    """How far each image can move, in Euclidean distance, and keep its class when smoothed.

    STATISTICAL: with probability at least ``1 - alpha`` over the noise, for each image, every input
    of the grid within ``sqrt(squared)`` has the class ``class`` under the smoothed classifier of
    the source's own noise, and within ``sqrt(ideal)`` under that of ideal rounded Gaussian noise.
    It is an assumption, not proved, that the generator's words behave as independent ones.
    ``correct`` says whether ``class`` is the label; UNKNOWN is an image whose votes certify
    nothing, or another class than the label.

    Args:
        x: images (batch, *input shape) within the declared range; y: their labels (batch,).
        progress: called with (samples done, in all), for all images together.

    Raises:
        InputError: the graph does not end in ArgMax, its input is bipolar, or images or labels are
            no input.
    """
    check_labels(graph, x, y)
    edge = graph.input_edge
    if x.shape[1:] != edge.shape or x.dtype.kind not in "iu" or not edge.type.contains(x):
        raise InputError(f"images of shape {x.shape[1:]} and type {x.dtype} are no {edge}")
    if edge.elements * max(edge.type.hi, -edge.type.lo) >= 1 << 30:
        raise InputError(f"input {edge}: too wide to add noise to in 32 bits")
    engine = BatchedEngine(graph, device=device)
    total = terms.selection + terms.samples

    def votes(stream: int, samples: int, before: int) -> Array:
        step = None if progress is None else lambda done, _: progress(before + done, total)
        noise = noise_stream(graph, terms, stream)
        return count_votes(engine, x, noise, samples=samples, progress=step)

    chosen = votes(SELECTION, terms.selection, 0).argmax(axis=1)
    counted = votes(ESTIMATION, terms.samples, terms.selection)
    return _certificates(graph, x, y, terms, chosen, counted)


def _certificates(
    graph: Graph, x: Array, y: Array, terms: Smoothing, chosen: Array, counted: Array
) -> CertificateSet:
    reach = _Reach(terms, noise_table(graph, terms).distance() * graph.input_edge.elements)
    own = digest(graph)

    def certificate(k: int) -> Certificate:
        """Of image ``k``, by the votes for the class that was chosen."""
        found = reach(int(counted[k, chosen[k]]))
        correct = bool(chosen[k] == y[k])
        certified = correct and found["squared"] is not None
        return Certificate(
            own,
            input_digest(x[k]),
            int(y[k]),
            correct,
            Property.SMOOTHING,
            0,
            METHOD,
            Verdict.STATISTICAL if certified else Verdict.UNKNOWN,
            detail={"class": int(chosen[k]), "votes": counted[k].tolist(), **found},
        )

    certificates = tuple(map(certificate, range(len(x))))
    return CertificateSet(
        own, Property.SMOOTHING, 0, METHOD, certificates, terms={**terms.record(), **reach.charge}
    )


class _Reach:
    """The certified squared distances of a number of votes, each worked out once."""

    def __init__(self, terms: Smoothing, error: Fraction) -> None:
        self._terms = terms
        # A short fraction above it serves as well, and the file can state it.
        self._error = Fraction(-(-error.numerator * 10**20 // error.denominator), 10**20)
        self._known: dict[int, dict[str, int | None]] = {}

    @property
    def charge(self) -> dict[str, str]:
        """The distance of the noise of one whole input from its ideal, as charged."""
        return {"error": str(self._error)}

    def __call__(self, votes: int) -> dict[str, int | None]:
        if votes not in self._known:
            terms = self._terms
            self._known[votes] = {
                name: squared_reach(
                    votes,
                    terms.samples,
                    alpha=terms.alpha,
                    sigma=terms.sigma,
                    error=self._error,
                    own=own,
                )
                for name, own in (("squared", True), ("ideal", False))
            }
        return self._known[votes]
