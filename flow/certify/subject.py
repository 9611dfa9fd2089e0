"""What a re-check is about, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.build.sites import SiteTable
from flow.certify.certificate import CertificateSet, Verdict
from flow.errors import ClaimError
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was repeated: boxes recomputed, witnesses run, images whose flips were all enumerated
    again; and the PROVED images left out because the caller chose others."""

    boxes: int
    witnesses: int
    enumerated: int
    unchecked: int


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A certificate file with the graph, images and labels it is about, already seen to fit.

    ``images`` are those whose flips the caller wants enumerated; None: all. ``sites`` are where a
    build keeps the stored bits, for claims about its words.
    """

    path: Path
    found: CertificateSet
    graph: Graph
    x: Array
    y: Array
    images: Sequence[int] | None = None
    progress: Progress | None = None
    sites: SiteTable | None = None

    @property
    def proved(self) -> list[int]:
        """The images PROVED."""
        return [k for k, c in enumerate(self.found.certificates) if c.verdict is Verdict.PROVED]

    @property
    def refuted(self) -> list[int]:
        """The images REFUTED."""
        return [k for k, c in enumerate(self.found.certificates) if c.verdict is Verdict.REFUTED]

    def each(self, images: Iterable[int]) -> Iterator[int]:
        """``images`` one by one, telling ``progress`` after each."""
        listed = list(images)
        for done, k in enumerate(listed, start=1):
            yield k
            if self.progress is not None:
                self.progress(done, len(listed))

    def denied(self, image: int, reason: str) -> ClaimError:
        """The error to raise where the claim about ``image`` does not hold."""
        return ClaimError(f"{self.path}: image {image}: {reason}")
