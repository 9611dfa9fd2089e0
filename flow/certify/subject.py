"""What a re-check is about, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from flow.build.sites import SiteTable
from flow.certify.certificate import CertificateSet, Verdict
from flow.errors import ClaimError, InputError
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a check is repeated: number ``number`` of ``parts``, from 1.

    Whatever is shared out goes to the parts in turn, so all of them together are the check.
    """

    number: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.parts:
            raise InputError(f"part {self}: give I/N with 1 <= I <= N, such as 2/8")

    @classmethod
    def of(cls, text: str) -> Part:
        """What ``I/N`` says.

        Raises:
            InputError: it says something else.
        """
        number, _, parts = text.partition("/")
        if not (number.isdecimal() and parts.isdecimal()):
            raise InputError(f"part {text}: give I/N with 1 <= I <= N, such as 2/8")
        return cls(int(number), int(parts))

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"

    @property
    def whole(self) -> bool:
        """Whether there is nothing to share out."""
        return self.parts == 1

    def share(self, items: Iterable[T]) -> Iterator[T]:
        """The items of this part."""
        return islice(items, self.number - 1, None, self.parts)


WHOLE = Part()


@dataclass(frozen=True, slots=True)
class Checked:
    """What was repeated: boxes recomputed, witnesses run, images whose flips were all enumerated
    again; and the PROVED images left out because the caller chose others.

    ``part`` says which part of each image's cases or flips that was, where they were shared out;
    None: all of them.
    """

    boxes: int
    witnesses: int
    enumerated: int
    unchecked: int
    part: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A certificate file with the graph, images and labels it is about, already seen to fit.

    ``images`` are those whose flips the caller wants enumerated; None: all. ``sites`` are where a
    build keeps the stored bits, for claims about its words. ``part`` is what is to be repeated.
    """

    path: Path
    found: CertificateSet
    graph: Graph
    x: Array
    y: Array
    images: Sequence[int] | None = None
    progress: Progress | None = None
    sites: SiteTable | None = None
    part: Part = WHOLE

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
