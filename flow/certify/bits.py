"""Certificates of the single-flip property, by enumeration."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.flips import SingleFlips
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.ir import Array, Fault

Images = NDArray[np.bool_]

METHOD = "enumeration"
_AT_ONCE = 1 << 13  # flips whose images are unpacked together


def certify_bits(
    flips: SingleFlips, x: Array, *, y: Array, subset: BitSubset = EVERY_BIT
) -> CertificateSet:
    """Per image PROVED, or REFUTED with the worst flip; exact, so never UNKNOWN.

    Args:
        flips: what ``single_flips`` found for the same images ``x`` and labels ``y``.
        subset: the bits that may flip; a witness is then the first of them that changes the class.
    """
    if subset == EVERY_BIT:
        terms, enumeration = {}, flips.enumeration()
        certified, worst = flips.certified, flips.worst_fault
    else:
        terms = {"subset": subset.terms()}
        certified, worst, enumeration = _within(flips, subset)
    witness = _witnesses(flips, certified, worst)
    certificates = tuple(
        Certificate(
            flips.graph_digest,
            input_digest(x[k]),
            int(y[k]),
            bool(flips.correct[k]),
            Property.BITS,
            1,
            METHOD,
            Verdict.PROVED if certified[k] else Verdict.REFUTED,
            fault=witness(k),
        )
        for k in range(len(x))
    )
    return CertificateSet(
        flips.graph_digest, Property.BITS, 1, METHOD, certificates, enumeration, terms
    )


def _witnesses(
    flips: SingleFlips, certified: Images, worst: Array
) -> Callable[[int], Fault | None]:
    def fault(k: int) -> Fault | None:
        broken = flips.correct[k] and not certified[k]
        return flips.bits.fault(int(worst[k])) if broken else None

    return fault


def _within(flips: SingleFlips, subset: BitSubset) -> tuple[Images, Array, str]:
    """Which images no flip of ``subset`` changes, the first that does, and the SHA-256 of all."""
    allowed = np.flatnonzero(subset.positions(flips.bits))
    images = len(flips.correct)
    totals, first = np.zeros(images, dtype=np.int64), np.full(images, -1)
    for start in range(0, len(allowed), _AT_ONCE):
        part = allowed[start : start + _AT_ONCE]
        changed = np.unpackbits(flips.critical[part], axis=1, count=images).astype(np.bool_)
        new = (totals == 0) & changed.any(axis=0)
        first[new] = part[changed.argmax(axis=0)[new]]
        totals += changed.sum(axis=0)
    total = hashlib.sha256(flips.graph_digest.encode())
    for seen in (flips.correct, flips.counts[allowed], flips.critical[allowed], totals):
        total.update(np.ascontiguousarray(seen).tobytes())
    return flips.correct & (totals == 0), first, total.hexdigest()
