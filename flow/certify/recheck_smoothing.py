"""Re-check of smoothing: every vote counted again from the seed by the reference, slowly."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.random import Philox

from flow.certify import plain_votes
from flow.certify.certificate import Certificate, Verdict
from flow.certify.subject import Checked, Subject
from flow.errors import InputError
from flow.ir import Array, Graph

_ROWS = 1024  # noisy inputs held at once
_STEPS = 1 << 64  # between the starts of two lanes


def recheck_smoothing(subject: Subject) -> Checked:
    """Count the votes of all images again, or of those chosen, and repeat what follows."""
    terms = _Terms(subject)
    everyone = range(len(subject.x))
    chosen = everyone if subject.images is None else sorted(set(subject.images))
    if any(k not in everyone for k in chosen):
        raise InputError(f"images {list(chosen)}: choose from 0 to {len(subject.x) - 1}")
    chosen = list(subject.part.share(chosen))
    for k, certificate in enumerate(subject.found.certificates):
        _follows(subject, k, certificate, terms)
    votes = {k: [terms.none(), terms.none()] for k in chosen}
    stages = ((0, terms.selection), (1, terms.samples))
    blocks = [(stage, start) for stage, rows in stages for start in range(0, rows, _ROWS)]
    for place in subject.each(range(len(blocks))):
        stage, start = blocks[place]
        rows = terms.noise(stage, start, min(_ROWS, stages[stage][1] - start))
        for k in chosen:
            votes[k][stage] += terms.classes(subject.x[k], rows)
    for k, (selection, samples) in votes.items():
        detail = subject.found.certificates[k].detail
        if samples.tolist() != detail["votes"] or int(selection.argmax()) != detail["class"]:
            raise subject.denied(k, "its votes, counted again, are others")
    statistical = [
        k for k, c in enumerate(subject.found.certificates) if c.verdict is Verdict.STATISTICAL
    ]
    return Checked(0, 0, len(chosen), len(set(statistical) - set(chosen)))


def _follows(subject: Subject, k: int, certificate: Certificate, terms: _Terms) -> None:
    """Raise unless the verdict follows from the votes that the file states."""
    detail = certificate.detail
    try:
        winner, votes = int(detail["class"]), [int(v) for v in detail["votes"]]
        claims = {"squared": detail["squared"], "ideal": detail["ideal"]}
        held = votes[winner]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{subject.path}: image {k}: damaged ({error!r}); certify again") from None
    if certificate.correct != (winner == certificate.label) or sum(votes) != terms.samples:
        raise subject.denied(k, f"class {winner} of {sum(votes)} votes, label {certificate.label}")
    for name, squared in claims.items():
        if squared is not None and not terms.certified(held, squared, own=name == "squared"):
            raise subject.denied(k, f"its votes do not certify {name} = {squared}")
    certified = certificate.correct and claims["squared"] is not None
    if certificate.verdict is not (Verdict.STATISTICAL if certified else Verdict.UNKNOWN):
        raise subject.denied(k, f"{certificate.verdict}, but its votes say otherwise")


class _Terms:
    """The terms of one file, and noise and votes as they say."""

    def __init__(self, subject: Subject) -> None:
        terms = subject.found.terms
        self.graph: Graph = subject.graph
        kind, self.elements = self.graph.input_edge.type, self.graph.input_edge.elements
        try:
            self.sigma, self.alpha = Fraction(terms["sigma"]), Fraction(terms["alpha"])
            self.samples, self.selection = int(terms["samples"]), int(terms["selection"])
            self.error, self.seed = Fraction(terms["error"]), int(terms["seed"])
            self.lanes = None if terms["lanes"] is None else int(terms["lanes"])
            sane = {"philox": self.lanes is None, "xorshift": self.lanes is not None}
            legal = sane[terms["noise"]] and self.sigma > 0 and 0 < self.alpha < 1
            legal &= min(self.samples, self.selection) >= 1 and 0 <= self.seed < 1 << 64
            legal &= self.lanes is None or (self.lanes >= 1 and self.elements % self.lanes == 0)
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise InputError(f"{subject.path}: damaged ({error!r}); certify again") from None
        if not legal or kind.bipolar:
            raise InputError(f"{subject.path}: terms {dict(terms)} describe no smoothing")
        self.low, self.high = kind.lo, kind.hi
        self._levels = _levels(self.sigma, 64 if self.lanes is None else 32, self.high - self.low)
        self._known: dict[tuple[int, int, bool], bool] = {}
        self._states: dict[int, Array] = {}
        distance = _distance(self.sigma, self._levels, self.high - self.low, self._scale)
        if self.error < distance * self.elements:
            raise subject.denied(0, f"error {self.error} is less than that of its noise")

    @property
    def _scale(self) -> int:
        return 1 << (63 if self.lanes is None else 31)

    def none(self) -> Array:
        """No votes yet."""
        return np.zeros(self.graph.edge(self.graph.logits).shape[0], dtype=np.int64)

    def certified(self, votes: int, squared: Any, *, own: bool) -> bool:
        """Whether ``votes`` of the samples certify the squared distance."""
        if type(squared) is not int:
            return False
        asked = (votes, squared, own)
        if asked not in self._known:
            self._known[asked] = plain_votes.holds(
                votes, self.samples, squared=squared, alpha=self.alpha, sigma=self.sigma,
                error=self.error, own=own,
            )  # fmt: skip
        return self._known[asked]

    def classes(self, image: Array, rows: Array) -> Array:
        """The votes of ``image`` under rows of noise, by the reference."""
        noisy = np.minimum(np.maximum(rows.reshape(-1, *image.shape) + image, self.low), self.high)
        return np.bincount(self.graph.evaluate(noisy), minlength=len(self.none()))

    def noise(self, stage: int, start: int, count: int) -> Array:
        """Rows ``start`` onward of the stage's noise; to be asked for in order."""
        words = self._host(stage, start, count) if self.lanes is None else self._lanes(stage, count)
        low = words & np.uint64(self._scale - 1)
        size = np.zeros(words.shape, dtype=np.int64)
        for level in self._levels:
            size += low >= np.uint64(level)
        negative = words >= np.uint64(self._scale)
        return np.where(negative, -size, size).reshape(count, self.elements)

    def _host(self, stage: int, start: int, count: int) -> Any:
        generator = Philox(key=np.array([self.seed, stage], dtype=np.uint64))
        first = start * self.elements
        generator.advance(first // 4)  # a counter gives four words
        return generator.random_raw(first % 4 + count * self.elements)[first % 4 :]

    def _lanes(self, stage: int, count: int) -> Any:
        assert self.lanes is not None
        if stage not in self._states:
            self._states[stage] = _starts(self.seed, self.lanes, stage)
        state, words = self._states[stage], []
        for _ in range(count * self.elements // self.lanes):
            x, y, z, w = state
            t = (x ^ x << 11) & 0xFFFFFFFF
            state = np.stack([y, z, w, w ^ w >> 19 ^ t ^ t >> 8])
            words.append(state[3])
        self._states[stage] = state
        return np.concatenate(words).astype(np.uint64)


def _levels(sigma: Fraction, bits: int, span: int) -> list[int]:
    """The integers that a word's lower bits are compared with."""
    found, scale = [], 1 << (bits - 1)
    for magnitude in range(1, span + 1):
        middle = sum(plain_votes.central((2 * magnitude - 1) / (2 * sigma)))
        level = round(middle * scale)
        if level >= scale:
            break
        found.append(level)
    return found


def _distance(sigma: Fraction, levels: list[int], span: int, scale: int) -> Fraction:
    """Above half the sum of differences between the table's probabilities and the ideal ones."""
    ends = [Fraction(0), *(Fraction(level, scale) for level in levels), Fraction(1)]
    total, known = Fraction(0), (Fraction(0), Fraction(0))
    for magnitude in range(len(levels) + 1):
        below, above = plain_votes.central((2 * magnitude + 1) / (2 * sigma))
        share = (2 * below, 2 * above) if magnitude < span else (Fraction(1), Fraction(1))
        table = ends[magnitude + 1] - ends[magnitude]
        total += max(abs(share[1] - known[0] - table), abs(share[0] - known[1] - table))
        known = share
    return (total + 1 - known[0]) / 2


def _starts(seed: int, lanes: int, stage: int) -> Array:
    """The state of every lane, (4, lanes): the step as a matrix over two elements, raised."""
    number = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:16], "little") or 1
    state = np.array([number >> bit & 1 for bit in range(128)], dtype=np.int64)
    jump = _raised(_matrix(), _STEPS)
    for _ in range(stage):
        state = _raised(jump, 1 << 32) @ state % 2
    found = []
    for _ in range(lanes):
        bits = state.reshape(4, 32)
        found.append((bits << np.arange(32)).sum(axis=1))
        state = jump @ state % 2
    return np.array(found, dtype=np.int64).T


def _matrix() -> Array:
    """Row r: which bits of the state, oldest word first, make bit r of the next."""
    matrix = np.zeros((128, 128), dtype=np.int64)
    matrix[np.arange(96), np.arange(32, 128)] = 1
    for bit in range(32):
        row = matrix[96 + bit]
        row[96 + bit] ^= 1
        if bit + 19 < 32:
            row[96 + bit + 19] ^= 1
        for shifted in (bit, bit + 8):  # of the oldest word, mixed with itself by 11
            if shifted < 32:
                row[shifted] ^= 1
                if shifted >= 11:
                    row[shifted - 11] ^= 1
    return matrix


def _raised(matrix: Array, power: int) -> Array:
    """``matrix`` to a power of two, over two elements."""
    found = matrix.astype(np.float64)  # sums of at most 128 ones
    for _ in range(power.bit_length() - 1):
        found = found @ found % 2
    return found.astype(np.int64)
